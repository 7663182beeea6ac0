//! What is searched for positions: circles, boxes and polygons; and the cells that cover them.

use super::{Angle, Cell, Degrees, EARTH_RADIUS, Position, SCORE_BITS, meridian_distance};

/// An area around a centre.
#[derive(Clone, Debug)]
pub struct Shape {
    /// What distances are measured from.
    pub center: Position,
    /// Its form.
    pub outline: Outline,
}

/// The form of a [`Shape`]. Lengths are in metres.
#[derive(Clone, Debug)]
pub enum Outline {
    /// What is not farther from the centre.
    Circle {
        /// The radius.
        radius: f64,
    },
    /// What is not farther to the east, west, north or south.
    Box {
        /// From west to east.
        width: f64,
        /// From north to south.
        height: f64,
    },
    /// What lies within straight lines on the map from corner to corner.
    Polygon(Vec<Position>),
}

/// Half of the earth's circumference, about, on the map.
const MERCATOR_MAX: f64 = 20_037_726.37;

impl Shape {
    /// A polygon; its centre is that of the corners, on the sphere.
    pub fn polygon(corners: Vec<Position>) -> Shape {
        let (mut x, mut y, mut z) = (0.0, 0.0, 0.0);
        for corner in &corners {
            let (longitude, latitude) = (corner.longitude.to_radians_like_c(), corner.latitude.to_radians_like_c());
            x += latitude.cos() * longitude.cos();
            y += latitude.cos() * longitude.sin();
            z += latitude.sin();
        }
        let center = Position {
            longitude: y.atan2(x).to_degrees_like_c(),
            latitude: z.atan2((x * x + y * y).sqrt()).to_degrees_like_c(),
        };
        Shape { center, outline: Outline::Polygon(corners) }
    }

    /// How far a place is from the centre, in metres, if it lies within.
    pub fn distance_within(&self, at: Position) -> Option<f64> {
        let distance = |within: bool| within.then(|| self.center.distance(at));
        match &self.outline {
            Outline::Circle { radius } => Some(self.center.distance(at)).filter(|distance| distance <= radius),
            Outline::Box { width, height } => distance(
                meridian_distance(at.latitude, self.center.latitude) <= height / 2.0
                    && at.distance(Position { longitude: self.center.longitude, ..at }) <= width / 2.0,
            ),
            Outline::Polygon(corners) => distance(is_inside(corners, at)),
        }
    }

    /// The cells that cover the shape, about, in the order in which Valkey searches them: the one of the centre, and those around it that
    /// matter.
    pub fn cells(&self) -> Vec<Cell> {
        let (longitudes, latitudes) = self.bounds();
        let mut level = level_for(self.reach(&longitudes, &latitudes), self.center.latitude);
        let mut center = Cell::of(self.center, level);
        let edge = |east, north| center.step(east, north).area();
        let too_small = edge(0, 1).1.max < latitudes.max
            || edge(0, -1).1.min > latitudes.min
            || edge(1, 0).0.max < longitudes.max
            || edge(-1, 0).0.min > longitudes.min;
        if level > 1 && too_small {
            level -= 1;
            center = Cell::of(self.center, level);
        }
        let (east_west, north_south) = center.area();
        let useless = |(east, north): (i32, i32)| {
            level >= 2
                && (north < 0 && north_south.min < latitudes.min
                    || north > 0 && north_south.max > latitudes.max
                    || east < 0 && east_west.min < longitudes.min
                    || east > 0 && east_west.max > longitudes.max)
        };
        let mut cells = Vec::with_capacity(9);
        for around in [(0, 0), (0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1)] {
            let cell = center.step(around.0, around.1);
            // Of large cells, the neighbour to the east is the one to the west as well.
            if !useless(around) && !cells.contains(&cell) {
                cells.push(cell);
            }
        }
        cells
    }

    /// The least and the most of longitude and latitude.
    fn bounds(&self) -> (Degrees, Degrees) {
        let (width, height) = match &self.outline {
            Outline::Circle { radius } => (*radius, *radius),
            Outline::Box { width, height } => (width / 2.0, height / 2.0),
            Outline::Polygon(corners) => {
                let range = |of: fn(&Position) -> f64| Degrees {
                    min: corners.iter().map(of).fold(f64::INFINITY, f64::min),
                    max: corners.iter().map(of).fold(f64::NEG_INFINITY, f64::max),
                };
                return (range(|corner| corner.longitude), range(|corner| corner.latitude));
            }
        };
        let Position { longitude, latitude } = self.center;
        let up = (height / EARTH_RADIUS).to_degrees_like_c();
        // The sides lean: the shape is widest where its end nearest to a pole is.
        let widest = if latitude < 0.0 { latitude - up } else { latitude + up };
        let aside = (width / EARTH_RADIUS / widest.to_radians_like_c().cos()).to_degrees_like_c();
        (Degrees { min: longitude - aside, max: longitude + aside }, Degrees { min: latitude - up, max: latitude + up })
    }

    /// How far the shape reaches from its centre, in metres.
    fn reach(&self, longitudes: &Degrees, latitudes: &Degrees) -> f64 {
        match &self.outline {
            Outline::Circle { radius } => *radius,
            Outline::Box { width, height } => (width / 2.0 * (width / 2.0) + height / 2.0 * (height / 2.0)).sqrt(),
            Outline::Polygon(_) => [longitudes.min, longitudes.max]
                .into_iter()
                .flat_map(|longitude| [latitudes.min, latitudes.max].map(|latitude| Position { longitude, latitude }))
                .map(|corner| self.center.distance(corner))
                .fold(0.0, f64::max),
        }
    }
}

/// The level of the cells of which nine are enough for so many metres around a centre.
fn level_for(mut reach: f64, latitude: f64) -> u32 {
    if reach == 0.0 {
        return SCORE_BITS;
    }
    let mut level = 1i32;
    while reach < MERCATOR_MAX {
        reach *= 2.0;
        level += 1;
    }
    // One less, so that the shape may lie anywhere within the middle cell, and one for what the map distorts; more near the poles.
    level -= 2 + i32::from(latitude.abs() > 66.0) + i32::from(latitude.abs() > 80.0);
    level.clamp(1, SCORE_BITS as i32) as u32
}

/// Whether a place lies within a polygon: whether a ray from it crosses the outline an odd number of times (Franklin, PNPOLY).
fn is_inside(corners: &[Position], at: Position) -> bool {
    let Some(mut before) = corners.last() else { return false };
    let mut inside = false;
    for corner in corners {
        let crosses = (corner.latitude > at.latitude) != (before.latitude > at.latitude)
            && at.longitude
                < (before.longitude - corner.longitude) * (at.latitude - corner.latitude)
                    / (before.latitude - corner.latitude)
                    + corner.longitude;
        inside ^= crosses;
        before = corner;
    }
    inside
}
