//! What must hold at every step of every history.

use super::server::{Disk, NAMES};
use super::world::{SLOTS, World, Write, say};
use crate::record::{Phase, Record};
use crate::spec::{Durability, StaleReplica};

impl World {
    fn violated(&mut self, what: String) {
        say!(self, "VIOLATED: {what}");
        self.bad.get_or_insert(what);
    }

    /// A client writes.
    pub(super) fn write(&mut self, i: usize) {
        let name = self.writes.len() as u32;
        self.writes.push(Write::default());
        let s = &mut self.servers[i];
        s.disk.log.push(name);
        let offset = s.offset();
        if s.waits() {
            s.held.push((name, offset));
        } else {
            self.answered(i, name);
        }
    }

    /// Answers what may be answered.
    pub(super) fn release(&mut self, i: usize) {
        let s = &mut self.servers[i];
        let reach = if s.waits() { s.acked } else { u64::MAX };
        let n = s.held.iter().take_while(|(_, offset)| *offset <= reach).count();
        let out: Vec<u32> = s.held.drain(..n).map(|(w, _)| w).collect();
        for w in out {
            self.answered(i, w);
        }
    }

    fn answered(&mut self, i: usize, write: u32) {
        self.writes[write as usize].answered = true;
        if self.plan.stock {
            return;
        }
        let alone = self.servers.iter().filter(|s| s.id != i).all(|s| !Self::holds(s, write));
        if !alone || self.plan.durability == Durability::Async || self.stored.spec.instances <= 1 {
            return;
        }
        let named =
            self.stored.record.as_ref().filter(|r| !r.successors.is_empty() && r.phase.serves()).is_some_and(|r| {
                r.primary.as_ref().is_some_and(|p| p.run_id == format!("{}{}", NAMES[i], self.servers[i].run))
            });
        if self.plan.durability == Durability::Sync && !self.plan.scale {
            let loser = self.writes_excused_by_disk(write);
            if !loser {
                self.violated(format!("under Sync, {} answered write {write} alone", NAMES[i]));
            }
        } else if named && !self.plan.disks {
            self.violated(format!("{} answered write {write} alone while a successor is recorded", NAMES[i]));
        }
    }

    /// Whether the other copy may have been destroyed by a fault before the answer went out.
    fn writes_excused_by_disk(&self, _: u32) -> bool {
        self.plan.disks
    }

    /// A full sync begins: what the replica held is gone.
    pub(super) fn overwrite(&mut self, replica: usize, source: usize, given: &Disk) {
        let lost: Vec<u32> = self.servers[replica]
            .disk
            .log
            .iter()
            .copied()
            .filter(|w| {
                let state = self.writes[*w as usize];
                state.answered
                    && !state.excused
                    && !self.servers.iter().any(|s| s.id != replica && Self::holds(s, *w))
                    && !self.servers[replica].saved.as_ref().is_some_and(|d| d.log.contains(w))
            })
            .collect();
        // What the source gave, and lost since, was not overwritten.
        let (given, lost): (Vec<u32>, Vec<u32>) = lost.into_iter().partition(|w| given.log.contains(w));
        for w in given {
            self.writes[w as usize].excused = true;
        }
        if lost.is_empty() {
            return;
        }
        let accepted = self.stored.spec.accept_data_loss.is_some();
        let empty = !self.servers[source].disk.log.iter().any(|w| self.writes[*w as usize].answered);
        let promised = self.plan.durability != Durability::Async && !self.plan.stock && self.plan.instances > 1;
        let tail = self.plan.stale == StaleReplica::Allow || !empty;
        if (promised || !tail) && !accepted {
            self.violated(format!(
                "{} holds the last copy of {} answered writes and is overwritten",
                NAMES[replica],
                lost.len()
            ));
        }
        for w in lost {
            self.writes[w as usize].excused = true;
        }
    }

    /// After each step.
    pub(super) fn check(&mut self) {
        let t = self.t;
        let accepting: Vec<usize> = (0..SLOTS).filter(|i| self.servers[*i].accepts(t)).collect();
        self.writable += u64::from(!accepting.is_empty());
        if let [first, second, ..] = accepting.as_slice() {
            let what = format!("{} and {} both accept writes", NAMES[*first], NAMES[*second]);
            self.violated(what);
        }
        if let (Some(i), Some((ghost, _))) = (accepting.first(), self.ghosts.iter().find(|(g, _)| g.accepts(t))) {
            let what = format!(
                "{} and the process of a pod of {} that was deleted by force both accept writes",
                NAMES[*i], NAMES[ghost.id]
            );
            self.violated(what);
        }
        let Some(i) = accepting.first().copied() else { return };
        let life = (i, self.servers[i].run, self.servers[i].epoch);
        if self.accepting != Some(life) {
            self.accepting = Some(life);
            self.holds_all(i);
        }
    }

    /// A failover that is recorded to have cost nothing cost nothing.
    pub(super) fn count_cost(&mut self, record: &Record) {
        let (Some(last), Some(primary)) = (record.failovers.first(), &record.primary) else { return };
        let before = self.stored.record.as_ref().and_then(|r| r.failovers.first());
        if before.is_some_and(|b| (b.epoch, b.bytes_possibly_lost) == (last.epoch, last.bytes_possibly_lost)) {
            return;
        }
        let Some(i) = NAMES.iter().position(|n| *n == primary.name) else { return };
        let nothing = last.bytes_possibly_lost == Some(0);
        if nothing && format!("{}{}", NAMES[i], self.servers[i].run) != primary.run_id {
            return; // What a later life of it lost is not that failover's cost.
        }
        let corrected = before.is_some_and(|b| b.epoch == last.epoch);
        let mut held = vec![false; self.writes.len()];
        for w in &self.servers[i].disk.log {
            held[*w as usize] = true;
        }
        let mut lost = 0;
        for (w, write) in self.writes.iter_mut().enumerate() {
            if write.told == Some(last.epoch) || (!corrected && write.answered && write.told.is_none() && !held[w]) {
                write.told = Some(last.epoch);
                lost += 1;
            }
        }
        if lost > 0 && nothing {
            self.violated(format!(
                "the failover to {} is said to have cost nothing, and cost {lost} answered writes",
                NAMES[i]
            ));
        }
    }

    /// Whoever comes to accept writes holds every write that was answered.
    fn holds_all(&mut self, i: usize) {
        let mut held = vec![false; self.writes.len()];
        for w in &self.servers[i].disk.log {
            held[*w as usize] = true;
        }
        let missing: Vec<u32> = (0..self.writes.len())
            .filter(|w| self.writes[*w].answered && !self.writes[*w].excused && !held[*w])
            .map(|w| w as u32)
            .collect();
        if missing.is_empty() {
            return;
        }
        let accepted = self.stored.spec.accept_data_loss.is_some();
        let promised = self.plan.durability != Durability::Async && !self.plan.stock && self.plan.instances > 1;
        if promised && !accepted {
            self.violated(format!(
                "{} accepts writes and lacks {} answered ones, the first {}",
                NAMES[i],
                missing.len(),
                missing[0]
            ));
        }
        for w in missing {
            self.writes[w as usize].excused = true;
        }
    }

    /// Whether everything is as asked for.
    pub(super) fn healed(&self) -> bool {
        let Some(record) = &self.stored.record else { return false };
        let wanted = self.stored.spec.instances as usize;
        let Some(primary) = record.primary.as_ref().and_then(|p| NAMES.iter().position(|n| *n == p.name)) else {
            return false;
        };
        let running = (0..SLOTS).filter(|i| self.servers[*i].runs(self.t)).count();
        record.phase == Phase::Stable
            && record.successors.len() + 1 == wanted
            && running == wanted
            && self.servers[primary].accepts(self.t)
            && primary < wanted
    }
}
