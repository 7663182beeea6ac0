//! Positions on the earth as scores of sorted sets, and the distances between them.
//!
//! A score holds 26 bits of longitude and 26 of latitude, interleaved, so that what shares the first bits lies in one [`Cell`]: the
//! members of a cell are a range of scores.

pub mod shape;
#[cfg(test)]
mod tests;

use super::zset::{ScoreBound, ScoreRange};

/// Degrees of longitude, and the degrees of latitude up to which the Mercator projection is a square.
pub const LONGITUDES: Degrees = Degrees { min: -180.0, max: 180.0 };
/// See [`LONGITUDES`].
pub const LATITUDES: Degrees = Degrees { min: -85.051_128_78, max: 85.051_128_78 };
/// The mean radius that Valkey calculates with, in metres.
const EARTH_RADIUS: f64 = 6_372_797.560856;
/// Bits of each coordinate in a score.
const SCORE_BITS: u32 = 26;
/// The characters of geohash strings, each worth five bits.
const ALPHABET: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";

/// A range of degrees.
#[derive(Clone, Copy, Debug)]
pub struct Degrees {
    /// The least.
    pub min: f64,
    /// The most.
    pub max: f64,
}

impl Degrees {
    /// Whether the range has this value.
    pub fn contain(self, value: f64) -> bool {
        value >= self.min && value <= self.max
    }

    /// The number of the part that holds `value`, of 2^bits equal parts.
    fn part_of(self, value: f64, bits: u32) -> u32 {
        ((value - self.min) / (self.max - self.min) * (1u64 << bits) as f64) as u32
    }

    /// Where a part begins and ends.
    fn part(self, number: u32, bits: u32) -> Degrees {
        let parts = (1u64 << bits) as f64;
        let at = |number: u32| self.min + f64::from(number) / parts * (self.max - self.min);
        Degrees { min: at(number), max: at(number.wrapping_add(1)) }
    }

    fn middle(self) -> f64 {
        (self.min + self.max) / 2.0
    }
}

/// A place, in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Position {
    /// East is positive.
    pub longitude: f64,
    /// North is positive.
    pub latitude: f64,
}

impl Position {
    /// The score of a member at this place.
    pub fn score(self) -> u64 {
        Cell::of(self, SCORE_BITS).bits()
    }

    /// The place that a score stands for. Any number stands for one; those that no place has, as Valkey on 64-bit Intel machines reads
    /// them.
    pub fn of_score(score: f64) -> Position {
        let bits = match score {
            ..0.0 => score as i64 as u64,
            18_446_744_073_709_551_616.0.. => 0,
            _ => score as u64,
        };
        let (longitude, latitude) = Cell { x: every_other(bits >> 1), y: every_other(bits), level: SCORE_BITS }.area();
        Position {
            longitude: longitude.middle().clamp(LONGITUDES.min, LONGITUDES.max),
            latitude: latitude.middle().clamp(LATITUDES.min, LATITUDES.max),
        }
    }

    /// The standard geohash string, of which the last character is always 0: a score has no bits for it. The standard's latitudes
    /// reach to the poles.
    pub fn geohash(self) -> [u8; 11] {
        let x = LONGITUDES.part_of(self.longitude, SCORE_BITS);
        let y = Degrees { min: -90.0, max: 90.0 }.part_of(self.latitude, SCORE_BITS);
        let bits = interleave(y, x);
        std::array::from_fn(|i| if i == 10 { b'0' } else { ALPHABET[(bits >> (47 - 5 * i)) as usize & 31] })
    }

    /// The distance along the surface in metres, by the haversine formula.
    pub fn distance(self, other: Position) -> f64 {
        let v = ((other.longitude.to_radians_like_c() - self.longitude.to_radians_like_c()) / 2.0).sin();
        if v.abs() <= 1e-15 {
            return meridian_distance(self.latitude, other.latitude);
        }
        let (from, to) = (self.latitude.to_radians_like_c(), other.latitude.to_radians_like_c());
        let u = ((to - from) / 2.0).sin();
        2.0 * EARTH_RADIUS * (u * u + from.cos() * to.cos() * v * v).sqrt().asin()
    }
}

/// The distance along a meridian in metres.
fn meridian_distance(from: f64, to: f64) -> f64 {
    EARTH_RADIUS * (to.to_radians_like_c() - from.to_radians_like_c()).abs()
}

/// Conversions that round as Valkey's, so that distances agree to the last digit.
trait Angle {
    fn to_radians_like_c(self) -> f64;
    fn to_degrees_like_c(self) -> f64;
}

impl Angle for f64 {
    fn to_radians_like_c(self) -> f64 {
        self * (std::f64::consts::PI / 180.0)
    }

    fn to_degrees_like_c(self) -> f64 {
        self / (std::f64::consts::PI / 180.0)
    }
}

/// One of the 4^level equal parts of the map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    x: u32,
    y: u32,
    level: u32,
}

impl Cell {
    /// The cell that holds a place.
    pub fn of(at: Position, level: u32) -> Cell {
        // A polygon's centre may lie near a pole.
        let latitude = at.latitude.clamp(LATITUDES.min, LATITUDES.max);
        Cell { x: LONGITUDES.part_of(at.longitude, level), y: LATITUDES.part_of(latitude, level), level }
    }

    /// The longitudes and latitudes within.
    pub fn area(self) -> (Degrees, Degrees) {
        (LONGITUDES.part(self.x, self.level), LATITUDES.part(self.y, self.level))
    }

    /// The cell so many to the east and to the north. The map has no edges.
    fn step(self, east: i32, north: i32) -> Cell {
        let mask = (1u64 << self.level).wrapping_sub(1) as u32;
        let moved = |at: u32, by: i32| if by == 0 { at } else { at.wrapping_add_signed(by) & mask };
        Cell { x: moved(self.x, east), y: moved(self.y, north), ..self }
    }

    fn bits(self) -> u64 {
        interleave(self.y, self.x)
    }

    /// The scores of what lies within.
    pub fn scores(self) -> ScoreRange {
        let align = |bits: u64| (bits << (2 * (SCORE_BITS - self.level))) as f64;
        ScoreRange { min: ScoreBound::Included(align(self.bits())), max: ScoreBound::Excluded(align(self.bits() + 1)) }
    }
}

/// The bits of two numbers in turn, those of `odd` one place higher.
fn interleave(even: u32, odd: u32) -> u64 {
    spread(even) | spread(odd) << 1
}

/// Puts the bits of a number two places apart.
fn spread(number: u32) -> u64 {
    HALVINGS.iter().rev().skip(1).fold(u64::from(number), |bits, (shift, mask)| (bits | bits << shift) & mask)
}

/// Every other bit of a number, beginning with the lowest.
fn every_other(bits: u64) -> u32 {
    let first = bits & HALVINGS[0].1;
    HALVINGS.windows(2).fold(first, |bits, pair| (bits | bits >> pair[0].0) & pair[1].1) as u32
}

/// Which bits are in use when they stand in groups of 1, 2, 4, …, and how far groups move to join or to part.
const HALVINGS: [(u32, u64); 6] = [
    (1, 0x5555_5555_5555_5555),
    (2, 0x3333_3333_3333_3333),
    (4, 0x0f0f_0f0f_0f0f_0f0f),
    (8, 0x00ff_00ff_00ff_00ff),
    (16, 0x0000_ffff_0000_ffff),
    (32, 0x0000_0000_ffff_ffff),
];
