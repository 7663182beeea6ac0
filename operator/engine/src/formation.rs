//! The first primary. Nothing is recorded: only what the instances hold can say which one it is to be, and nothing that is held may be lost.

use crate::decision::ReasonCode;
use crate::lineage;
use crate::observe::Answer;
use crate::record::{Life, Phase, Record, Why};
use crate::turn::{Turn, life};

impl<'a> Turn<'a> {
    /// Chooses the first primary, once every instance has said what it holds. `record`: an earlier attempt whose target was lost.
    pub(crate) fn form(&mut self, record: Option<&Record>) -> Option<Record> {
        let mut heard: Vec<(Life, &'a Answer)> = Vec::new();
        let mut missing = false;
        if self.spec.volumes.is_none() {
            missing = true;
            self.say(ReasonCode::WaitingForAnswer, None, "it is not known yet which volumes there are from before");
        }
        let all = self.instances_to_hear();
        for instance in self.seen.instances.iter().filter(|instance| instance.ordinal < all) {
            let name = instance.name.as_str();
            match self.current(name) {
                Some(a) if !a.loading => heard.push((life(name, a), a)),
                Some(_) => {
                    missing = true;
                    self.say(ReasonCode::WaitingForLoad, Some(name), format!("{name} is loading its data"));
                }
                None => {
                    missing = true;
                    let message = if self.stays(name) {
                        format!("{name} has not answered; it may hold data")
                    } else {
                        format!(
                            "{name} has a volume from before and has not answered; it may hold the newest data, remove the volume if not"
                        )
                    };
                    self.say(ReasonCode::WaitingForAnswer, Some(name), message);
                }
            }
        }
        let epoch = record.map_or(0, |r| r.epoch);
        let accepted = self.spec.accept_data_loss.as_ref().filter(|a| a.epoch == Some(epoch));
        let wanted = accepted.and_then(|a| a.instance.clone());
        if let Some(name) = wanted {
            let (target, _) = heard.iter().find(|(l, _)| l.name == name)?;
            return Some(self.formed(record, target.clone(), &heard));
        }
        let expected = usize::try_from(all).unwrap_or(usize::MAX);
        if (missing || heard.len() < expected) && accepted.is_none() {
            return None;
        }
        let target = self.first_primary(&heard, accepted.is_some())?;
        Some(self.formed(record, target, &heard))
    }

    /// Who may hold data: those asked for, and those that had a volume when more were. The newest may be on one that is to leave.
    pub(crate) fn instances_to_hear(&self) -> u32 {
        self.spec.instances.max(1).max(self.spec.volumes.unwrap_or(0))
    }

    fn first_primary(&mut self, heard: &[(Life, &'a Answer)], accepted: bool) -> Option<Life> {
        // A record was lost, and instances still serve: the newest primaryship counts.
        let serving = heard.iter().filter(|(_, a)| a.is_primary() && a.epoch() > 0).max_by_key(|(_, a)| a.epoch());
        if let Some((target, _)) = serving {
            return Some(target.clone());
        }
        // Stock servers that already replicate: the one that the others follow.
        let mut followed =
            heard.iter().filter(|(l, a)| a.is_primary() && heard.iter().any(|(_, b)| self.follows(b, &l.name)));
        if let (Some((target, _)), None) = (followed.next(), followed.next()) {
            return Some(target.clone());
        }
        let full: Vec<&(Life, &Answer)> = heard.iter().filter(|(_, a)| a.keys > 0).collect();
        let Some(first) = full.first() else { return heard.first().map(|(l, _)| l.clone()) };
        // One whose history goes on from all others' is the newest, emptied or not. One that never held anything has a history of its own.
        let all: Vec<&(Life, &Answer)> = heard.iter().collect();
        let newest = lineage::most_advanced(&all, |f| f.1).or_else(|| lineage::most_advanced(&full, |f| f.1));
        let best = newest.copied().or_else(|| {
            let most = full.iter().max_by_key(|(_, a)| (a.whole, a.keys)).copied();
            most.filter(|_| accepted)
        });
        match best {
            Some((l, a)) if a.whole => Some(l.clone()),
            Some((l, _)) => {
                self.say(ReasonCode::NotWhole, Some(&l.name), format!("{} holds data that is not whole", l.name));
                None
            }
            None => {
                let names: Vec<&str> = full.iter().map(|(l, _)| l.name.as_str()).collect();
                let message = format!(
                    "{} hold different data sets, and nothing is recorded of them; name the one to keep",
                    names.join(" and ")
                );
                self.say(ReasonCode::Diverged, Some(&first.0.name), message);
                None
            }
        }
    }

    fn formed(&mut self, record: Option<&Record>, target: Life, heard: &[(Life, &Answer)]) -> Record {
        // Instances that served before have seen higher numbers than a new record would begin with.
        let seen = |f: fn(&Answer) -> u64| heard.iter().map(|(_, a)| f(a)).max().unwrap_or(0);
        let term = seen(|a| a.fence.as_ref().map_or(0, |f| f.term)).max(record.map_or(0, |r| r.term)) + 1;
        let epoch = seen(Answer::epoch).max(record.map_or(0, |r| r.epoch)) + 1;
        self.event(false, "Forming", format!("{} is to be the first primary", target.name));
        Record {
            term,
            epoch,
            phase: Phase::Forming,
            members: vec![target.name.clone()],
            eligible: vec![target.clone()],
            target: Some(target),
            why: Some(Why::Formed),
            ..record.cloned().unwrap_or_default()
        }
    }
}

#[cfg(test)]
mod tests;
