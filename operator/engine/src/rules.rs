//! The rules that the simulation leaves out one at a time, to show that each is needed. Outside tests all of them hold, at no cost.

/// A rule of the protocol.
#[cfg_attr(not(test), allow(dead_code))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// Only what was asked after a record was made is evidence against it.
    AskOrder,
    /// An operator acts and votes only while it certainly leads.
    Witness,
    /// A new leader reads the record before it does anything.
    RecordRead,
    /// The successor is let to accept writes only when the old primary certainly does not.
    Wait,
    /// Only a recorded successor takes over.
    Successors,
    /// A successor counts by its life, not by its name.
    Continuity,
    /// The guard is confirmed before anybody is recorded as a successor.
    Arm,
    /// A successor holds what the primary held when it confirmed the guard.
    CatchUp,
    /// That there is no successor is recorded before the guard is lifted.
    Alone,
    /// What an instance holds is compared with what is recorded before it is made primary.
    Lineage,
    /// All that may hold an answered write are asked, and the most advanced is taken.
    MostAdvanced,
    /// A promoted instance is closed until the record names it as the primary, whoever attaches to it.
    Closed,
    /// Every voter that the old primary could still count on is detached before its lease is waited for.
    Detach,
    /// An instance is recorded as a member before it is told to follow.
    Members,
    /// A handover under way is no demotion yet: it can still be undone.
    Undone,
    /// Only who has seen the takeover's term counts as detached: an older order to follow may still be on its way.
    SeenTerm,
    /// When a member is taken out, successors are recorded anew: only it may have acknowledged the last writes.
    Parting,
    /// Another pod that answers in its place does not prove a primary dead whose lease can be waited for.
    Replaced,
    /// A successor that lost the primary is given up only when the primary has answered since: it may have lost it to its death.
    Outlived,
    /// That nothing was lost is said only where it is certain.
    Cost,
    /// A server refuses commands of a lower term.
    #[cfg(test)]
    Terms,
    /// A server refuses commands for another life.
    #[cfg(test)]
    RunId,
    /// A vote counts from when it was asked for.
    #[cfg(test)]
    AskTime,
    /// A server refuses to be promoted while its data set is not whole.
    #[cfg(test)]
    Whole,
}

/// Which rules hold.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rules {
    #[cfg(test)]
    pub(crate) without: Option<Rule>,
}

impl Rules {
    #[cfg(not(test))]
    #[inline(always)]
    pub(crate) fn hold(self, _: Rule) -> bool {
        true
    }

    #[cfg(test)]
    pub(crate) fn hold(self, rule: Rule) -> bool {
        self.without != Some(rule)
    }
}
