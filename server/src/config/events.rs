//! `notify-keyspace-events`: which changes of keys are published.

use super::kinds::{Kind, Reason, Rewrite, Source, only};

/// A set of classes of keyspace events, and the ways in which they are published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NotifyEvents(u32);

impl NotifyEvents {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// `K`: published by key, on `__keyspace@<db>__:<key>`.
    pub const KEYSPACE: Self = Self(1);
    /// `E`: published by event, on `__keyevent@<db>__:<event>`.
    pub const KEYEVENT: Self = Self(1 << 1);
    /// `g`: commands of no type, such as DEL and EXPIRE.
    pub const GENERIC: Self = Self(1 << 2);
    /// `$`: strings.
    pub const STRING: Self = Self(1 << 3);
    /// `l`: lists.
    pub const LIST: Self = Self(1 << 4);
    /// `s`: sets.
    pub const SET: Self = Self(1 << 5);
    /// `h`: hashes.
    pub const HASH: Self = Self(1 << 6);
    /// `z`: sorted sets.
    pub const ZSET: Self = Self(1 << 7);
    /// `x`: expired keys.
    pub const EXPIRED: Self = Self(1 << 8);
    /// `e`: evicted keys.
    pub const EVICTED: Self = Self(1 << 9);
    /// `t`: streams.
    pub const STREAM: Self = Self(1 << 10);
    /// `m`: keys that were looked for and not there; not part of `A`.
    pub const KEY_MISS: Self = Self(1 << 11);
    /// `d`: types of modules.
    pub const MODULE: Self = Self(1 << 13);
    /// `n`: new keys; not part of `A`.
    pub const NEW: Self = Self(1 << 14);
    /// `A`: all classes but `m` and `n`.
    pub const ALL: Self = Self(
        Self::GENERIC.0
            | Self::STRING.0
            | Self::LIST.0
            | Self::SET.0
            | Self::HASH.0
            | Self::ZSET.0
            | Self::EXPIRED.0
            | Self::EVICTED.0
            | Self::STREAM.0
            | Self::MODULE.0,
    );

    /// The letters of the classes, in the order in which they are shown.
    const CLASSES: [(u8, Self); 11] = [
        (b'g', Self::GENERIC),
        (b'$', Self::STRING),
        (b'l', Self::LIST),
        (b's', Self::SET),
        (b'h', Self::HASH),
        (b'z', Self::ZSET),
        (b'x', Self::EXPIRED),
        (b'e', Self::EVICTED),
        (b't', Self::STREAM),
        (b'd', Self::MODULE),
        (b'n', Self::NEW),
    ];

    /// The letters shown after the classes.
    const WAYS: [(u8, Self); 3] = [(b'K', Self::KEYSPACE), (b'E', Self::KEYEVENT), (b'm', Self::KEY_MISS)];

    /// Whether all of `other` are among these.
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The set that letters name, in any order; `None` when one of them names nothing.
    pub fn from_letters(letters: &[u8]) -> Option<Self> {
        let mut events = Self::NONE;
        for letter in letters {
            let mut known = Self::CLASSES.iter().chain(&Self::WAYS).chain(&[(b'A', Self::ALL)]);
            events.0 |= known.find(|(known, _)| known == letter)?.1.0;
        }
        Some(events)
    }

    /// The letters in Valkey's order. Where `A` is shown, `n` is not, which is Valkey's habit too.
    pub fn letters(self) -> Vec<u8> {
        let all = self.has(Self::ALL);
        let classes: &[_] = if all { &[(b'A', Self::ALL)] } else { &Self::CLASSES };
        classes.iter().chain(&Self::WAYS).filter(|(_, class)| self.has(*class)).map(|(letter, _)| *letter).collect()
    }
}

/// The type of `notify-keyspace-events`.
pub(crate) struct Events;

impl Kind for Events {
    type Value = NotifyEvents;

    fn parse(&self, words: &[&[u8]], _: &NotifyEvents, _: Source) -> Result<NotifyEvents, Reason> {
        NotifyEvents::from_letters(only(words)?)
            .ok_or_else(|| "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.".into())
    }

    fn show(&self, value: &NotifyEvents) -> Vec<u8> {
        value.letters()
    }

    fn rewrite(&self, value: &NotifyEvents, default: &NotifyEvents) -> Rewrite {
        Rewrite::line(crate::words::quote(&value.letters()), value != default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(letters: &str) -> String {
        let events = Events.parse(&[letters.as_bytes()], &NotifyEvents::NONE, Source::Command).unwrap();
        String::from_utf8(Events.show(&events)).unwrap()
    }

    #[test]
    fn letters_are_shown_in_one_order() {
        for (set, get) in [
            ("", ""),
            ("KEA", "AKE"),
            ("lK", "lK"),
            ("mEKhg", "ghKEm"),
            ("g$lshzxetdKE", "AKE"),
            ("nA", "A"),
            ("n", "n"),
        ] {
            assert_eq!(shown(set), get, "{set}");
        }
    }

    #[test]
    fn an_unknown_letter_is_refused() {
        let refusal = Events.parse(&[b"KEq"], &NotifyEvents::NONE, Source::Command).unwrap_err();
        assert_eq!(refusal, "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.");
    }
}
