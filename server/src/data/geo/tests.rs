use super::shape::{Outline, Shape};
use super::*;
use crate::data::rng::Rng;

const PALERMO: Position = Position { longitude: 13.361389, latitude: 38.115556 };
const CATANIA: Position = Position { longitude: 15.087269, latitude: 37.502669 };

fn at(longitude: f64, latitude: f64) -> Position {
    Position { longitude, latitude }
}

/// A random place, as precise as scores are.
fn random(rng: &mut Rng) -> Position {
    let place = at(rng.unit() * 360.0 - 180.0, (rng.unit() * 2.0 - 1.0) * LATITUDES.max);
    Position::of_score(place.score() as f64)
}

#[test]
fn scores_strings_and_distances_are_valkeys() {
    assert_eq!([PALERMO.score(), CATANIA.score()], [3_479_099_956_230_698, 3_479_447_370_796_909]);
    let [palermo, catania] = [PALERMO, CATANIA].map(|place| Position::of_score(place.score() as f64));
    assert_eq!(palermo, at(13.361_389_338_970_184, 38.115_556_395_496_3));
    assert_eq!([&palermo.geohash(), &catania.geohash()], [b"sqc8b49rny0", b"sqdtr74hyu0"]);
    assert_eq!(format!("{:.4}", palermo.distance(catania)), "166274.1516");
    assert_eq!(at(0.0, 0.0).distance(at(0.0, 0.0)), 0.0);
}

#[test]
fn any_number_stands_for_a_place() {
    let least = at(-179.999_997_317_790_99, -85.051_127_512_639_43);
    for (score, place) in [
        (0.0, least),
        (-0.0, least),
        (0.5, least),
        (1e300, least),
        (f64::INFINITY, least),
        (-5.0, at(180.0, LATITUDES.max)),
        (f64::NEG_INFINITY, at(180.0, -85.051_127_512_639_43)),
    ] {
        let Position { longitude, latitude } = Position::of_score(score);
        assert!((longitude - place.longitude).abs() < 1e-9 && (latitude - place.latitude).abs() < 1e-9, "{score}");
    }
    assert_eq!(Position::of_score(at(180.0, LATITUDES.max).score() as f64), at(180.0, LATITUDES.max));
}

#[test]
fn a_score_keeps_a_place_within_a_metre() {
    let mut rng = Rng::new(1);
    for _ in 0..1000 {
        let place = at(rng.unit() * 360.0 - 180.0, (rng.unit() * 2.0 - 1.0) * LATITUDES.max);
        assert!(Position::of_score(place.score() as f64).distance(place) < 1.0);
    }
}

#[test]
fn the_cells_of_a_shape_hold_what_lies_within() {
    let mut rng = Rng::new(2);
    let places: Vec<Position> = (0..4000).map(|_| random(&mut rng)).collect();
    for round in 0..600 {
        // Near a pole or the edge of the map, what lies beyond is not searched, in Valkey either.
        let center = at((rng.unit() * 2.0 - 1.0) * 120.0, (rng.unit() * 2.0 - 1.0) * 60.0);
        let size = 10f64.powf(rng.unit() * 3.0 + 3.0);
        let outline = match round % 3 {
            0 => Outline::Circle { radius: size },
            _ => Outline::Box { width: size * (0.2 + rng.unit()), height: size * (0.2 + rng.unit()) },
        };
        let shape = if round % 3 == 2 {
            let corners =
                (0..5).map(|_| at(center.longitude + rng.unit() * 30.0, center.latitude / 3.0 + rng.unit() * 30.0));
            Shape::polygon(corners.collect())
        } else {
            Shape { center, outline }
        };
        let ranges: Vec<_> = shape.cells().into_iter().map(Cell::scores).collect();
        for place in &places {
            if shape.distance_within(*place).is_some() {
                let score = place.score() as f64;
                let times = ranges.iter().filter(|range| !range.is_before(score) && range.is_before_end(score)).count();
                assert_eq!(times, 1, "{place:?} in {shape:?}");
            }
        }
    }
}

#[test]
fn a_polygon_holds_what_its_outline_surrounds() {
    let corners = [(0.0, 0.0), (4.0, 0.0), (4.0, 4.0), (2.0, 1.0), (0.0, 4.0)];
    let shape = Shape::polygon(corners.map(|(x, y)| at(x, y)).to_vec());
    for ((x, y), inside) in
        [((1.0, 0.5), true), ((0.5, 2.0), true), ((2.0, 2.0), false), ((5.0, 1.0), false), ((2.0, -1.0), false)]
    {
        assert_eq!(shape.distance_within(at(x, y)).is_some(), inside, "{x} {y}");
    }
}
