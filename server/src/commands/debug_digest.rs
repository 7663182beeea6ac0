//! Digests of values and of the whole data set, as Valkey computes them: equal digests are equal data, also between this
//! server and Valkey. Where order has no meaning, the parts are combined by exclusive or.

use sha1::{Digest, Sha1};

use crate::data::elem::Elem;
use crate::data::entry::Entry;
use crate::data::num::DoubleText;
use crate::data::table::Keyed;
use crate::data::value::ValueRef;
use crate::keyspace::Keyspace;

/// A digest in the making.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Mix([u8; 20]);

impl Mix {
    /// Takes in a part whose place does not matter.
    fn add(&mut self, part: &[u8]) {
        let hash = Sha1::digest(part);
        self.0.iter_mut().zip(hash).for_each(|(byte, other)| *byte ^= other);
    }

    /// Takes in a part that follows those before.
    fn follow(&mut self, part: &[u8]) {
        self.add(part);
        self.0 = Sha1::digest(self.0).into();
    }

    fn follow_elem(&mut self, elem: Elem<'_>) {
        elem.with_text(|text| self.follow(text));
    }

    /// 40 hexadecimal digits.
    pub fn hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The number of a value's type in digests.
fn type_number(value: &ValueRef<'_>) -> u32 {
    match value {
        ValueRef::Str(_) => 0,
        ValueRef::List(_) => 1,
        ValueRef::Set(_) => 2,
        ValueRef::Zset(_) => 3,
        ValueRef::Hash(_) => 4,
        ValueRef::Stream(_) => 6,
    }
}

/// Takes the value and the expiry of an entry into a digest.
pub fn mix_value(mix: &mut Mix, entry: &Entry) {
    let value = entry.value();
    mix.follow(&type_number(&value).to_be_bytes());
    match value {
        ValueRef::Str(text) => mix.follow_elem(text),
        ValueRef::List(list) => list.iter().for_each(|elem| mix.follow_elem(elem)),
        ValueRef::Set(set) => set.iter().for_each(|elem| elem.with_text(|text| mix.add(text))),
        ValueRef::Hash(hash) => hash.iter().for_each(|field| {
            let mut pair = Mix::default();
            pair.follow_elem(field.name);
            pair.follow_elem(field.value);
            mix.add(&pair.0);
        }),
        ValueRef::Zset(zset) => zset.iter().for_each(|(member, score)| {
            let mut pair = Mix::default();
            pair.follow_elem(member);
            pair.follow(DoubleText::shortest(score).as_bytes());
            mix.add(&pair.0);
        }),
        ValueRef::Stream(stream) => stream.log().iter().for_each(|item| {
            mix.follow(format!("{}.{}", item.id.ms, item.id.seq).as_bytes());
            for (name, value) in item.fields {
                mix.follow_elem(name);
                mix.follow_elem(value);
            }
        }),
    }
    if entry.expire_at().is_some() {
        mix.add(b"!!expire!!");
    }
}

/// The digest of all keys of all databases.
pub fn data_set(keyspace: &Keyspace) -> Mix {
    let mut mix = Mix::default();
    for db in keyspace.dbs().iter().filter(|db| !db.is_empty()) {
        mix.follow(&(db.id() as u32).to_be_bytes());
        for entry in db.iter() {
            let mut key = Mix::default();
            key.follow(entry.key());
            mix_value(&mut key, entry);
            mix.add(&key.0);
        }
    }
    mix
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::limits::Limits;
    use crate::data::value::Value;
    use crate::data::zset::Zset;

    #[test]
    fn the_digest_of_a_string_is_the_one_that_valkey_answers() {
        let mut mix = Mix::default();
        mix_value(&mut mix, &Entry::new_str(b"a", b"b", None));
        assert_eq!(mix.hex(), "b78559cd22bce6e6df712eb99ce7f3b08e8f8f1f");
    }

    #[test]
    fn the_digest_of_a_sorted_set_is_the_one_that_valkey_answers() {
        for (score, digest) in [
            (0.1, "7e1bae26d61f35a2675e4748edc8fe0bff072cee"),
            (1e16, "02fb09f65a743f3aa85c8f13f339bc95a8e2f471"),
            (1e-7, "d8fb3b79e0660adc9c4d845c640d221d3c25f635"),
        ] {
            let mut zset = Zset::new();
            zset.insert(b"m", score, &Limits::default());
            let mut mix = Mix::default();
            mix_value(&mut mix, &Entry::new(b"z", Value::Zset(zset), None));
            assert_eq!(mix.hex(), digest, "{score}");
        }
    }
}
