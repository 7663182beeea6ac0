//! The bounds of ranges: by score, and by the members' texts.

/// An end of a score range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ScoreBound {
    /// This score and what lies inside of it. Infinities are scores.
    Included(f64),
    /// What lies inside of this score.
    Excluded(f64),
}

/// Scores between two bounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScoreRange {
    /// The lower bound.
    pub min: ScoreBound,
    /// The upper bound.
    pub max: ScoreBound,
}

impl ScoreRange {
    /// Does the score lie before the range?
    pub fn is_before(&self, score: f64) -> bool {
        match self.min {
            ScoreBound::Included(min) => score < min,
            ScoreBound::Excluded(min) => score <= min,
        }
    }

    /// Does the score lie before the range's end?
    pub fn is_before_end(&self, score: f64) -> bool {
        match self.max {
            ScoreBound::Included(max) => score <= max,
            ScoreBound::Excluded(max) => score < max,
        }
    }
}

/// An end of a range of texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LexBound<'a> {
    /// `-`: before all members.
    Min,
    /// `+`: behind all members.
    Max,
    /// `[text`: this member and what lies inside of it.
    Included(&'a [u8]),
    /// `(text`: what lies inside of this member.
    Excluded(&'a [u8]),
}

/// Members between two bounds, in the order of their bytes. It makes sense only while all scores are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LexRange<'a> {
    /// The lower bound.
    pub min: LexBound<'a>,
    /// The upper bound.
    pub max: LexBound<'a>,
}

impl LexRange<'_> {
    /// Does the member lie before the range?
    pub fn is_before(&self, member: &[u8]) -> bool {
        match self.min {
            LexBound::Min => false,
            LexBound::Max => true,
            LexBound::Included(min) => member < min,
            LexBound::Excluded(min) => member <= min,
        }
    }

    /// Does the member lie before the range's end?
    pub fn is_before_end(&self, member: &[u8]) -> bool {
        match self.max {
            LexBound::Min => false,
            LexBound::Max => true,
            LexBound::Included(max) => member <= max,
            LexBound::Excluded(max) => member < max,
        }
    }
}
