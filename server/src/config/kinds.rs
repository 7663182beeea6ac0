//! The types that a directive's value can have: how its words are read, how it is shown, how it is written back.
//!
//! The error texts are Valkey's, word for word: clients and tests compare them.

use std::borrow::Cow;

/// Why a value was refused, in Valkey's words.
pub type Reason = Cow<'static, str>;

/// A check beyond the type's own, with the reason for a refusal.
pub(crate) type Check<V> = fn(&V) -> Result<(), &'static str>;

/// Where a value comes from; `save` adds up within a file and is replaced by CONFIG SET.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A line of a configuration file, or an option of the command line.
    File,
    /// CONFIG SET.
    Command,
}

/// What CONFIG REWRITE does about one directive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Rewrite {
    /// The directive has no value: its lines go.
    Drop,
    /// One line for each element: the text after the name, and whether it is written even where the file has none.
    Lines(Vec<(Vec<u8>, bool)>),
}

impl Rewrite {
    /// One line, written even where the file has none if `force`.
    pub(crate) fn line(text: Vec<u8>, force: bool) -> Self {
        Self::Lines(vec![(text, force)])
    }
}

/// The type of a directive.
pub(crate) trait Kind: Sync + 'static {
    /// What the field of `Config` holds.
    type Value: Clone + PartialEq + 'static;

    /// Whether the directive takes any number of words instead of exactly one.
    const MANY: bool = false;

    /// Reads a value. Directives that do not take many words get exactly one.
    fn parse(&self, words: &[&[u8]], current: &Self::Value, source: Source) -> Result<Self::Value, Reason>;

    /// The text of CONFIG GET.
    fn show(&self, value: &Self::Value) -> Vec<u8>;

    /// The lines of CONFIG REWRITE.
    fn rewrite(&self, value: &Self::Value, default: &Self::Value) -> Rewrite {
        Rewrite::line(self.show(value), value != default)
    }
}

/// The only word of a directive that takes one.
pub(crate) fn only<'a>(words: &[&'a [u8]]) -> Result<&'a [u8], Reason> {
    match words {
        [word] => Ok(word),
        _ => Err("wrong number of arguments".into()),
    }
}

/// A directive that CONFIG SET refuses with a reason of its own, although it is not immutable.
pub(crate) struct AtStart<K> {
    kind: K,
    refusal: &'static str,
}

/// The same, but refused to CONFIG SET.
pub(crate) const fn at_start<K: Kind>(kind: K, refusal: &'static str) -> AtStart<K> {
    AtStart { kind, refusal }
}

impl<K: Kind> Kind for AtStart<K> {
    type Value = K::Value;
    const MANY: bool = K::MANY;

    fn parse(&self, words: &[&[u8]], current: &K::Value, source: Source) -> Result<K::Value, Reason> {
        if source == Source::Command { Err(self.refusal.into()) } else { self.kind.parse(words, current, source) }
    }

    fn show(&self, value: &K::Value) -> Vec<u8> {
        self.kind.show(value)
    }

    fn rewrite(&self, value: &K::Value, default: &K::Value) -> Rewrite {
        self.kind.rewrite(value, default)
    }
}

/// `yes` or `no`.
pub(crate) struct YesNo {
    check: Option<Check<bool>>,
}

/// A directive that is `yes` or `no`.
pub(crate) const fn flag() -> YesNo {
    YesNo { check: None }
}

impl YesNo {
    /// The same, with a further check.
    pub(crate) const fn checked(self, check: Check<bool>) -> Self {
        Self { check: Some(check) }
    }
}

impl Kind for YesNo {
    type Value = bool;

    fn parse(&self, words: &[&[u8]], _: &bool, _: Source) -> Result<bool, Reason> {
        let word = only(words)?;
        let value = if word.eq_ignore_ascii_case(b"yes") {
            true
        } else if word.eq_ignore_ascii_case(b"no") {
            false
        } else {
            return Err("argument must be 'yes' or 'no'".into());
        };
        self.check.map_or(Ok(()), |check| check(&value))?;
        Ok(value)
    }

    fn show(&self, value: &bool) -> Vec<u8> {
        if *value { b"yes".to_vec() } else { b"no".to_vec() }
    }
}

/// A set of names, one of which is the value.
pub trait Choice: Copy + PartialEq + Sync + 'static {
    /// Every name in the order in which Valkey lists them; of two names for one value the first is the one shown.
    const NAMES: &'static [(&'static str, Self)];

    /// The name that CONFIG GET shows.
    fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, value)| *value == self).map_or("unknown", |(name, _)| name)
    }
}

/// A directive whose value is one of a few names, in any case.
pub(crate) struct OneOf<C>(std::marker::PhantomData<fn() -> C>);

/// A directive whose value is one of a few names.
pub(crate) const fn one_of<C: Choice>() -> OneOf<C> {
    OneOf(std::marker::PhantomData)
}

/// The value that a word names.
pub(crate) fn choose<C: Copy>(names: &[(&'static str, C)], word: &[u8]) -> Option<C> {
    names.iter().find(|(name, _)| name.as_bytes().eq_ignore_ascii_case(word)).map(|(_, value)| *value)
}

/// The refusal of a word that names nothing.
pub(crate) fn not_among<C>(names: &[(&'static str, C)]) -> Reason {
    let names: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
    format!("argument(s) must be one of the following: {}", names.join(", ")).into()
}

impl<C: Choice> Kind for OneOf<C> {
    type Value = C;

    fn parse(&self, words: &[&[u8]], _: &C, _: Source) -> Result<C, Reason> {
        choose(C::NAMES, only(words)?).ok_or_else(|| not_among(C::NAMES))
    }

    fn show(&self, value: &C) -> Vec<u8> {
        value.name().into()
    }
}

/// A text of any bytes: a name, a path, a password.
pub(crate) struct Text {
    unset_when_empty: bool,
    check: Option<Check<[u8]>>,
}

/// A text that may be empty.
pub(crate) const fn text() -> Text {
    Text { unset_when_empty: false, check: None }
}

/// A text whose empty value means that it is not set: CONFIG REWRITE then removes its line.
pub(crate) const fn optional_text() -> Text {
    Text { unset_when_empty: true, check: None }
}

impl Text {
    /// The same, with a further check.
    pub(crate) const fn checked(self, check: Check<[u8]>) -> Self {
        Self { check: Some(check), ..self }
    }
}

impl Kind for Text {
    type Value = Vec<u8>;

    fn parse(&self, words: &[&[u8]], _: &Vec<u8>, _: Source) -> Result<Vec<u8>, Reason> {
        let value = only(words)?.to_vec();
        self.check.map_or(Ok(()), |check| check(&value))?;
        Ok(value)
    }

    fn show(&self, value: &Vec<u8>) -> Vec<u8> {
        value.clone()
    }

    fn rewrite(&self, value: &Vec<u8>, default: &Vec<u8>) -> Rewrite {
        if self.unset_when_empty && value.is_empty() {
            return Rewrite::Drop;
        }
        Rewrite::line(crate::words::quote(value), value != default)
    }
}

#[cfg(test)]
mod tests {
    use super::super::choices::{MaxmemoryPolicy, OomScoreAdj};
    use super::*;

    fn read<K: Kind>(kind: &K, word: &str, current: K::Value) -> Result<K::Value, Reason> {
        kind.parse(&[word.as_bytes()], &current, Source::Command)
    }

    #[test]
    fn a_flag_is_yes_or_no_in_any_case() {
        assert_eq!(read(&flag(), "YES", false), Ok(true));
        assert_eq!(read(&flag(), "no", true), Ok(false));
        assert_eq!(read(&flag(), "true", false), Err("argument must be 'yes' or 'no'".into()));
    }

    #[test]
    fn a_wrong_name_is_answered_with_all_the_right_ones() {
        let refusal = read(&one_of(), "lru", MaxmemoryPolicy::Noeviction).unwrap_err();
        assert_eq!(
            refusal,
            "argument(s) must be one of the following: volatile-lru, volatile-lfu, volatile-random, volatile-ttl, \
             allkeys-lru, allkeys-lfu, allkeys-random, noeviction"
        );
    }

    #[test]
    fn a_second_name_for_a_value_is_shown_as_the_first() {
        assert_eq!(read(&one_of(), "relative", OomScoreAdj::No), Ok(OomScoreAdj::Relative));
        assert_eq!(OomScoreAdj::Relative.name(), "yes");
    }

    #[test]
    fn a_text_keeps_any_byte() {
        let secret = b"\x00\xff\"' ".as_slice();
        assert_eq!(optional_text().parse(&[secret], &Vec::new(), Source::File).unwrap(), secret);
    }
}
