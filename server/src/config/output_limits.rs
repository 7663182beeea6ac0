//! `client-output-buffer-limit`: how much may wait to be sent to a client before it is disconnected.

use super::kinds::{Kind, Reason, Rewrite, Source};
use super::numbers::{bytes, short_bytes};

/// The limits of one class of clients; 0 means none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputLimit {
    /// Bytes at which a client goes at once.
    pub hard_bytes: u64,
    /// Bytes at which a client goes when it stays above them for `soft_seconds`.
    pub soft_bytes: u64,
    /// Seconds above `soft_bytes`.
    pub soft_seconds: u32,
}

/// The limits of all classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputLimits {
    /// Ordinary clients.
    pub normal: OutputLimit,
    /// Replicas.
    pub replica: OutputLimit,
    /// Clients that subscribe to a channel or pattern.
    pub pubsub: OutputLimit,
}

impl OutputLimits {
    /// What holds unless something else is set: replicas 256 MiB or 64 MiB for a minute, subscribers 32 MiB or 8 MiB
    /// for a minute, others unlimited.
    pub const DEFAULT: Self = Self {
        normal: OutputLimit { hard_bytes: 0, soft_bytes: 0, soft_seconds: 0 },
        replica: OutputLimit { hard_bytes: 256 << 20, soft_bytes: 64 << 20, soft_seconds: 60 },
        pubsub: OutputLimit { hard_bytes: 32 << 20, soft_bytes: 8 << 20, soft_seconds: 60 },
    };

    fn class(&mut self, name: &[u8]) -> Option<&mut OutputLimit> {
        match name.to_ascii_lowercase().as_slice() {
            b"normal" => Some(&mut self.normal),
            b"slave" | b"replica" => Some(&mut self.replica),
            b"pubsub" => Some(&mut self.pubsub),
            _ => None,
        }
    }
}

/// The type of `client-output-buffer-limit`: any number of `class hard soft seconds`; classes not named keep theirs.
pub(crate) struct OutputBufferLimits;

impl Kind for OutputBufferLimits {
    type Value = OutputLimits;
    const MANY: bool = true;

    fn parse(&self, words: &[&[u8]], current: &OutputLimits, _: Source) -> Result<OutputLimits, Reason> {
        let mut limits = *current;
        if !words.len().is_multiple_of(4) {
            return Err("Wrong number of arguments in buffer limit configuration.".into());
        }
        for group in words.chunks(4) {
            let &[class, hard, soft, seconds] = group else { continue };
            let limit = limits.class(class).ok_or("Invalid client class specified in buffer limit configuration.")?;
            *limit = parse_limit(hard, soft, seconds)
                .ok_or("Error in hard, soft or soft_seconds setting in buffer limit configuration.")?;
        }
        Ok(limits)
    }

    fn show(&self, value: &OutputLimits) -> Vec<u8> {
        let OutputLimits { normal, replica, pubsub } = value;
        // CONFIG GET has kept the old name of the class.
        let classes = [("normal", normal), ("slave", replica), ("pubsub", pubsub)]
            .map(|(class, limit)| format!("{class} {} {} {}", limit.hard_bytes, limit.soft_bytes, limit.soft_seconds));
        classes.join(" ").into_bytes()
    }

    fn rewrite(&self, value: &OutputLimits, default: &OutputLimits) -> Rewrite {
        let classes = [
            ("normal", value.normal, default.normal),
            ("replica", value.replica, default.replica),
            ("pubsub", value.pubsub, default.pubsub),
        ];
        let lines = classes.map(|(class, limit, default)| {
            let (hard, soft) = (short_bytes(limit.hard_bytes.into()), short_bytes(limit.soft_bytes.into()));
            (format!("{class} {hard} {soft} {}", limit.soft_seconds).into_bytes(), limit != default)
        });
        Rewrite::Lines(lines.into())
    }
}

fn parse_limit(hard: &[u8], soft: &[u8], seconds: &[u8]) -> Option<OutputLimit> {
    let amount = |word| bytes(word).and_then(|value| u64::try_from(value).ok());
    let soft_seconds: i32 = std::str::from_utf8(seconds).ok()?.parse().ok()?;
    Some(OutputLimit {
        hard_bytes: amount(hard)?,
        soft_bytes: amount(soft)?,
        soft_seconds: u32::try_from(soft_seconds).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(line: &str) -> Result<OutputLimits, Reason> {
        let words: Vec<&[u8]> = line.split_whitespace().map(str::as_bytes).collect();
        OutputBufferLimits.parse(&words, &OutputLimits::DEFAULT, Source::Command)
    }

    #[test]
    fn only_the_named_classes_change() {
        let limits = set("replica 1gb 64mb 10 NORMAL 1 2 3").unwrap();
        assert_eq!(limits.replica, OutputLimit { hard_bytes: 1 << 30, soft_bytes: 64 << 20, soft_seconds: 10 });
        assert_eq!(
            OutputBufferLimits.show(&limits),
            b"normal 1 2 3 slave 1073741824 67108864 10 pubsub 33554432 8388608 60"
        );
        assert_eq!(set("").unwrap(), OutputLimits::DEFAULT);
    }

    #[test]
    fn wrong_limits_are_refused_with_the_reason() {
        for (line, reason) in [
            ("normal 0 0", "Wrong number of arguments in buffer limit configuration."),
            ("master 0 0 0", "Invalid client class specified in buffer limit configuration."),
            ("normal x 0 0", "Error in hard, soft or soft_seconds setting in buffer limit configuration."),
            ("normal 0 -1 0", "Error in hard, soft or soft_seconds setting in buffer limit configuration."),
            ("normal 0 0 -1", "Error in hard, soft or soft_seconds setting in buffer limit configuration."),
        ] {
            assert_eq!(set(line).unwrap_err(), reason, "{line}");
        }
    }

    #[test]
    fn each_class_is_written_on_its_own_line() {
        let rewrite = OutputBufferLimits.rewrite(&set("pubsub 0 0 0").unwrap(), &OutputLimits::DEFAULT);
        let lines = [("normal 0 0 0", false), ("replica 256mb 64mb 60", false), ("pubsub 0 0 0", true)];
        assert_eq!(rewrite, Rewrite::Lines(lines.map(|(text, force)| (text.into(), force)).into()));
    }
}
