//! The latency monitor: what took `latency-monitor-threshold` ms or more, by kind.

use std::collections::VecDeque;
use std::time::Duration;

use super::Server;

/// Samples of an event that are kept.
const SAMPLES: usize = 160;

/// Kinds of what can take long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A command.
    Command,
    /// A command of constant or logarithmic time.
    FastCommand,
    /// The fork of a child.
    Fork,
    /// A run of active expiry.
    ExpireCycle,
    /// Making room under `maxmemory`.
    EvictionCycle,
    /// Writing the append-only file.
    AofWrite,
}

const EVENTS: [(Event, &str, &str); 6] = [
    (Event::Command, "command", "SLOWLOG GET names the commands; large values and long ranges are the usual cause."),
    (
        Event::FastCommand,
        "fast-command",
        "These commands do little: the machine is likely short of CPU or swaps memory.",
    ),
    (Event::Fork, "fork", "A fork copies page tables: it grows with the memory in use, and with huge pages."),
    (Event::ExpireCycle, "expire-cycle", "Many keys expire at once: spread their times to live."),
    (Event::EvictionCycle, "eviction-cycle", "maxmemory is reached by large values or by a burst of writes."),
    (Event::AofWrite, "aof-write", "The disk is slow or busy: see appendfsync and no-appendfsync-on-rewrite."),
];

impl Event {
    /// The name in LATENCY.
    pub fn name(self) -> &'static str {
        EVENTS[self as usize].1
    }

    /// What LATENCY DOCTOR says about it.
    pub fn advice(self) -> &'static str {
        EVENTS[self as usize].2
    }

    /// The event of a name.
    pub fn named(name: &[u8]) -> Option<Event> {
        EVENTS.iter().find(|(_, known, _)| known.as_bytes() == name).map(|(event, _, _)| *event)
    }
}

/// A latency with its time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sample {
    /// Unix time in seconds.
    pub time: i64,
    /// The longest of that second, in ms.
    pub ms: u64,
}

/// The latencies of an event since the last reset.
#[derive(Debug, Default)]
pub struct Series {
    samples: VecDeque<Sample>,
    /// The longest, in ms.
    pub max_ms: u64,
    /// All together, in ms.
    pub sum_ms: u64,
    /// How many.
    pub count: u64,
}

impl Series {
    /// The last of them, oldest first.
    pub fn samples(&self) -> impl ExactSizeIterator<Item = &Sample> {
        self.samples.iter()
    }

    fn add(&mut self, time: i64, ms: u64) {
        self.max_ms = self.max_ms.max(ms);
        self.sum_ms += ms;
        self.count += 1;
        match self.samples.back_mut() {
            Some(last) if last.time == time => last.ms = last.ms.max(ms),
            _ => self.samples.push_back(Sample { time, ms }),
        }
        if self.samples.len() > SAMPLES {
            self.samples.pop_front();
        }
    }
}

/// All events that happened.
#[derive(Debug, Default)]
pub struct LatencyMonitor([Option<Series>; EVENTS.len()]);

impl LatencyMonitor {
    /// The events that happened.
    pub fn events(&self) -> impl Iterator<Item = (Event, &Series)> {
        EVENTS.iter().zip(&self.0).filter_map(|((event, _, _), series)| Some((*event, series.as_ref()?)))
    }

    /// The latencies of an event, if it happened.
    pub fn series(&self, event: Event) -> Option<&Series> {
        self.0[event as usize].as_ref()
    }

    /// Forgets the events that are asked for; returns how many had happened.
    pub fn forget(&mut self, mut which: impl FnMut(Event) -> bool) -> usize {
        let asked = EVENTS.iter().zip(&mut self.0).filter(|((event, _, _), _)| which(*event));
        asked.filter_map(|(_, series)| series.take()).count()
    }
}

impl Server {
    /// Something took so long: remembers it if that is long enough.
    #[inline]
    pub fn note_latency(&mut self, event: Event, took: Duration) {
        let threshold = self.config.latency_monitor_threshold;
        let ms = took.as_millis() as u64;
        if threshold > 0 && ms >= threshold {
            let time = crate::sys::unix_ms() / 1000;
            self.latency.0[event as usize].get_or_insert_default().add(time, ms);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_events() {
        for (i, (event, name, _)) in EVENTS.iter().enumerate() {
            assert_eq!(*event as usize, i);
            assert_eq!(Event::named(name.as_bytes()), Some(*event));
        }
    }

    #[test]
    fn of_a_second_the_longest_is_kept() {
        let mut series = Series::default();
        for (time, ms) in [(1, 5), (1, 9), (1, 7), (2, 1)] {
            series.add(time, ms);
        }
        let samples: Vec<(i64, u64)> = series.samples().map(|s| (s.time, s.ms)).collect();
        assert_eq!((samples, series.max_ms, series.sum_ms, series.count), (vec![(1, 9), (2, 1)], 9, 22, 4));
    }
}
