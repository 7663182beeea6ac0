//! When, or how often, a key was last used: the 24 bits that the eviction policies judge by.
//!
//! Under an LRU policy they are the clock in seconds, which wraps after 194 days. Under an LFU policy they are the clock in minutes
//! (16 bits) and a logarithmic counter (8 bits) that grows with use and decays with time (Sanfilippo, Redis 4.0).

use super::state::State;

/// The counter of a new key: not 0, or it would be evicted before it had a chance.
const LFU_START: u8 = 5;
const MASK: u32 = 0x00ff_ffff;

/// How a key was used, as files and `RESTORE` tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Seconds since the last use.
    Idle(u32),
    /// The counter of uses.
    Frequency(u8),
}

impl State {
    /// The access field of a key that is new.
    pub(super) fn fresh_access(&self) -> u32 {
        if self.lfu.get() { self.minutes() << 8 | u32::from(LFU_START) } else { self.seconds() }
    }

    /// The access field after one more use.
    pub(super) fn touched_access(&self, access: u32) -> u32 {
        if !self.lfu.get() {
            return self.seconds();
        }
        let count = self.frequency(access);
        let above = f64::from(count.saturating_sub(LFU_START));
        let chance = 1.0 / (above * f64::from(self.lfu_log_factor.get()) + 1.0);
        let count = if self.rng.borrow_mut().unit() < chance { count.saturating_add(1) } else { count };
        self.minutes() << 8 | u32::from(count)
    }

    /// The access field that stands for a use told by a file. `None` if it is of the other policy's kind.
    pub(super) fn import_access(&self, access: Access) -> Option<u32> {
        match (access, self.lfu.get()) {
            (Access::Idle(seconds), false) => Some(self.seconds().wrapping_sub(seconds) & MASK),
            (Access::Frequency(count), true) => Some(self.minutes() << 8 | u32::from(count)),
            _ => None,
        }
    }

    /// The counter of uses, decayed to now.
    pub(super) fn frequency(&self, access: u32) -> u8 {
        let elapsed = (self.minutes() as u16).wrapping_sub((access >> 8) as u16);
        let periods = u32::from(elapsed).checked_div(self.lfu_decay_time.get()).unwrap_or(0);
        (access as u8).saturating_sub(u8::try_from(periods).unwrap_or(u8::MAX))
    }

    /// Seconds since the last use.
    pub(super) fn idle_seconds(&self, access: u32) -> u32 {
        self.seconds().wrapping_sub(access) & MASK
    }

    /// How good a key is to evict, by the policy in force: more is better.
    pub(super) fn idleness(&self, access: u32) -> u64 {
        if self.lfu.get() { u64::from(u8::MAX - self.frequency(access)) } else { u64::from(self.idle_seconds(access)) }
    }

    fn seconds(&self) -> u32 {
        (self.now_ms.get() / 1000) as u32 & MASK
    }

    fn minutes(&self) -> u32 {
        (self.now_ms.get() / 60_000) as u32 & 0xffff
    }
}
