//! The small encoding of a sorted set: a listpack of members and scores, ordered by score, then by member.
//!
//! A score is an integer element if it is an integer within ±2^62, else the text that Valkey prints of it, which reads back as the same double.

use super::super::elem::Elem;
use super::super::listpack::{Listpack, Pos};
use super::super::num::{DoubleText, double_as_i64};

/// The members with their scores, in order.
pub(super) fn iter(lp: &Listpack) -> impl Iterator<Item = (Elem<'_>, f64)> {
    let mut iter = lp.iter();
    std::iter::from_fn(move || Some((iter.next()?, score(iter.next()?))))
}

/// What a score element says. Files may hold texts that are no numbers: those are 0.
pub(super) fn score(elem: Elem<'_>) -> f64 {
    elem.as_double().unwrap_or(0.0)
}

/// Is it a sorted set as this server would have made it: pairs, scores that are numbers, in order? (Not: distinct members.)
pub(super) fn is_sorted(lp: &Listpack) -> bool {
    let mut iter = lp.iter();
    let mut before: Option<(f64, Elem<'_>)> = None;
    while let Some(member) = iter.next() {
        let Some(score) = iter.next().and_then(Elem::as_double) else { return false };
        if before.is_some_and(|before| before >= (score, member)) {
            return false;
        }
        before = Some((score, member));
    }
    true
}

/// Place and score of a member.
pub(super) fn find(lp: &Listpack, member: &[u8]) -> Option<(Pos, f64)> {
    let at = lp.find_first(member, 1)?;
    Some((at, score(lp.get(lp.next(at)?)?)))
}

/// Puts a member that is not there in its place.
pub(super) fn insert(lp: &mut Listpack, member: &[u8], score: f64) {
    let at = place(lp, member, score);
    let text;
    let score = match double_as_i64(score) {
        Some(v) => Elem::Int(v),
        None => {
            text = DoubleText::new(score);
            Elem::Bytes(text.as_bytes())
        }
    };
    lp.insert(at, &[Elem::Bytes(member), score]);
}

/// The place of the first member that comes after this one.
fn place(lp: &Listpack, member: &[u8], score: f64) -> Pos {
    let mut iter = lp.iter();
    loop {
        let at = iter.pos();
        let (Some(m), Some(s)) = (iter.next(), iter.next()) else { return lp.end() };
        let other = self::score(s);
        if other > score || (other == score && m.with_text(|text| text > member)) {
            return at;
        }
    }
}
