//! What goes wrong: crashes, pauses, partitions, outages, lost disks, dying operators, and what people ask for meanwhile.

use super::server::{Disk, NAMES};
use super::world::{API, Message, SLOTS, World, say};
use crate::observe::Presence;
use crate::spec::{Acceptance, Spec, Switchover};
use std::rc::Rc;

impl World {
    pub(super) fn faults(&mut self) {
        if self.r.chance(25) {
            self.partition();
        }
        if self.r.chance(14) {
            let i = self.any_server();
            self.crash(i);
        }
        if self.r.chance(10) {
            let i = self.any_server();
            let until = self.t + self.r.range(2, 60);
            self.servers[i].paused = until;
            say!(self, "{} pauses until {until}", NAMES[i]);
        }
        if self.r.chance(10) {
            let k = self.r.below(2) as usize;
            let until = self.t + self.r.range(1, 40);
            self.operators[k].restart(self.t, until, &mut self.r);
            say!(self, "operator {k} restarts");
        }
        if self.r.chance(6) {
            let k = self.r.below(2) as usize;
            let until = self.t + self.r.range(2, 60);
            self.operators[k].paused = until;
            say!(self, "operator {k} pauses until {until}");
        }
        if self.r.chance(5) {
            let until = self.t + self.r.range(10, 80);
            for x in 0..API {
                self.cut(x, API, until);
                self.cut(API, x, until);
            }
            say!(self, "the API server is down until {until}");
        }
        if self.r.chance(8) {
            let k = self.r.below(2) as usize;
            self.operators[k].blind = self.t + self.r.range(5, 60);
            say!(self, "the watch of operator {k} stands still until {}", self.operators[k].blind);
        }
        if self.r.chance(8) {
            let k = self.r.below(2) as usize;
            self.operators[k].dies_after = Some(self.r.below(4));
        }
        if self.r.chance(10) {
            // An annotation, a label: whoever meant to write has to read anew.
            self.edit(|_| {});
        }
        self.wishes();
    }

    /// What people and the platform ask for.
    fn wishes(&mut self) {
        if self.plan.moves && self.r.chance(if self.plan.late { 40 } else { 15 }) {
            let to = NAMES[self.any_server()].to_owned();
            let id = format!("{}", self.t);
            say!(self, "a person asks for {to}");
            let in_spec = self.r.chance(400);
            self.edit(|spec| match in_spec {
                true => spec.place = Some(to),
                false => spec.switchover = Some(Switchover { id, to: Some(to) }),
            });
        }
        if self.plan.moves && self.r.chance(10) {
            let avoid = if self.r.chance(600) { vec![NAMES[self.any_server()].to_owned()] } else { Vec::new() };
            say!(self, "{avoid:?} is to be restarted or drained");
            self.edit(|spec| spec.avoid = avoid);
        }
        if self.plan.moves && self.r.chance(4) {
            let paused = !self.stored.spec.paused;
            say!(self, "a person sets paused to {paused}");
            self.edit(|spec| spec.paused = paused);
        }
        if self.plan.scale && self.r.chance(10) {
            let n = self.r.range(1, SLOTS as u64) as u32;
            say!(self, "a person asks for {n} instances");
            self.edit(|spec| spec.instances = n);
        }
    }

    /// Somebody writes the resource.
    fn edit(&mut self, change: impl FnOnce(&mut Spec)) {
        let stored = Rc::make_mut(&mut self.stored);
        stored.version += 1;
        change(&mut stored.spec);
    }

    fn any_server(&mut self) -> usize {
        let n = self.servers.iter().filter(|s| s.exists).count().max(1) as u64;
        let k = self.r.below(n) as usize;
        (0..SLOTS).filter(|i| self.present(*i)).nth(k).unwrap_or(0)
    }

    fn partition(&mut self) {
        let nodes: Vec<usize> = (0..SLOTS).filter(|i| self.present(*i)).chain([SLOTS, SLOTS + 1]).collect();
        let a = self.r.pick(&nodes);
        let b = if self.r.chance(150) { API } else { self.r.pick(&nodes) };
        let until = self.t + self.r.range(3, 80);
        if a == b {
            // All of one node's links.
            for x in 0..=API {
                self.cut(a, x, until);
                self.cut(x, a, until);
            }
            say!(self, "node {a} is cut off until {until}");
            return;
        }
        let way = self.r.below(3);
        if way != 1 {
            self.cut(a, b, until);
        }
        if way != 0 {
            self.cut(b, a, until);
        }
        say!(self, "cut {a} {} {b} until {until}", ["->", "<-", "<->"][way as usize]);
    }

    fn crash(&mut self, i: usize) {
        let until = self.t + self.r.range(1, 30);
        let old_run = format!("{}{}", NAMES[i], self.servers[i].run);
        let old_uid = format!("{}{}", NAMES[i], self.servers[i].uid);
        let moved = self.r.chance(300);
        let leased = self.stored.record.as_ref().is_some_and(|r| r.guard.is_some());
        let haunted = moved
            && leased
            && self.servers[i].primary
            && self.servers[i].guard
            && !self.plan.stock
            && self.r.chance(500);
        if haunted {
            // Deleted by force: it lives on where nobody reaches it, with its guard on.
            let ghost = self.servers[i].clone();
            let end = self.t + self.r.range(5, 60);
            self.ghosts.push((ghost, end));
            say!(self, "the process of {} lives on until {end}", NAMES[i]);
        } else {
            self.hang_up(i);
        }
        self.servers[i].crash(until);
        self.servers[i].loading = until + self.r.range(0, 6);
        let mut fate = "restarts";
        if self.plan.disks && self.r.chance(400) {
            let keep = if self.r.chance(500) { 0 } else { self.r.below(self.servers[i].offset() + 1) };
            self.lose_disk(i, keep as usize);
            fate = "loses its disk and restarts";
        }
        if moved {
            self.servers[i].uid += 1;
        }
        let uid = format!("{}{}", NAMES[i], self.servers[i].uid);
        say!(self, "{} {fate} as run {} pod {uid} at {until}", NAMES[i], self.servers[i].run);
        // What the platform says comes late.
        let (soon, later) = (self.t + self.r.range(1, 12), until + self.r.range(1, 12));
        let presence = match (moved, if haunted { 1 } else { self.r.below(3) }) {
            (true, 0) => Presence::NodeGone { uid: old_uid },
            (true, _) => Presence::Running { uid: uid.clone() },
            (false, 0) => Presence::Ended { uid: uid.clone(), run_id: Some(old_run) },
            (false, _) => Presence::Running { uid: uid.clone() },
        };
        self.push(soon, API, API, Message::Pod { which: i, presence });
        self.push(later.max(soon + 1), API, API, Message::Pod { which: i, presence: Presence::Running { uid } });
    }

    /// So many entries are left of what was on disk.
    pub(super) fn lose_disk(&mut self, i: usize, keep: usize) {
        let lost = self.servers[i].disk.log.split_off(keep);
        self.servers[i].saved = None;
        if keep == 0 {
            let replid = self.fresh_id() as u32;
            self.servers[i].disk = Disk { replid, ..Disk::default() };
        } else if self.servers[i].disk.second.is_some_and(|(_, own)| own > keep as u64 + 1) {
            // An older state of the disk is from before the promotion.
            let (before, _) = self.servers[i].disk.second.take().unwrap_or_default();
            self.servers[i].disk.replid = before;
        }
        // What a primary answered alone, or as the only one that is wanted, stands and falls with its disk.
        let alone = self.stored.record.as_ref().is_some_and(|r| {
            let may = self.plan.durability == crate::Durability::Preferred || r.members.len() <= 1;
            may && r.successors.is_empty() && r.primary.as_ref().is_some_and(|p| p.name == NAMES[i])
        });
        for write in lost {
            if alone || !self.servers.iter().any(|s| Self::holds(s, write)) {
                self.writes[write as usize].excused = true;
            }
        }
    }

    /// The platform follows the engine's word.
    pub(super) fn scale_to(&mut self, wanted: usize) {
        for (i, name) in NAMES.iter().enumerate() {
            if i < wanted && !self.servers[i].exists {
                let until = self.t + self.r.range(1, 10);
                self.servers[i].exists = true;
                self.servers[i].uid += 1;
                self.servers[i].crash(until);
                let uid = format!("{name}{}", self.servers[i].uid);
                say!(self, "{name} is created");
                self.push(until, API, API, Message::Pod { which: i, presence: Presence::Running { uid } });
            } else if i >= wanted && self.servers[i].exists {
                self.servers[i].crash(self.t);
                self.servers[i].exists = false;
                say!(self, "{name} is removed");
                let soon = self.t + self.r.range(1, 10);
                self.push(soon, API, API, Message::Pod { which: i, presence: Presence::Gone });
            }
        }
    }

    /// After the faults: nothing is paused or to be drained any more, and a person who is asked to accept the loss of data does.
    pub(super) fn person(&mut self) {
        if self.stored.spec.paused || !self.stored.spec.avoid.is_empty() {
            self.edit(|spec| {
                spec.paused = false;
                spec.avoid.clear();
            });
        }
        let asked = self.holding_since.is_some_and(|since| self.t > since + 30);
        if asked && (self.plan.disks || self.plan.scale) {
            let epoch = self.stored.record.as_ref().map_or(0, |r| r.epoch);
            let acceptance = Acceptance { epoch: Some(epoch), instance: None };
            if self.stored.spec.accept_data_loss.as_ref() != Some(&acceptance) {
                say!(self, "a person accepts the loss of data in epoch {epoch}");
                self.edit(|spec| spec.accept_data_loss = Some(acceptance));
            }
        }
    }
}
