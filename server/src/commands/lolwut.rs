//! LOLWUT: the server's version, under a picture of a Julia set.

use super::error::CommandError;
use super::{Command, CommandResult, Ctx, Flags, Group};
use crate::data::rng::Rng;
use crate::server::{REDIS_VERSION, VALKEY_VERSION};

/// The row.
pub const COMMANDS: &[Command] = &[Command::new("lolwut", -1, Group::Server, lolwut)
    .flags(Flags::READONLY.union(Flags::FAST))
    .doc("5.0.0", "Shows computer art and the server's version.")];

/// The one picture that there is, by the Valkey version that brought it.
const PICTURE: i64 = 9;
/// Shades, by how long it takes to leave the neighbourhood of 0.
const SHADES: &[u8; 12] = b" .,:;-=+*#%@";
const COLUMNS: i64 = 160;
const ROWS: i64 = 80;

/// A point of the plane: real and imaginary part.
type Complex = (f64, f64);

fn lolwut(ctx: &mut Ctx<'_>) -> CommandResult {
    const USE: CommandError = CommandError::fixed("ERR Syntax error. Use: LOLWUT [columns rows] [real imaginary]");
    let mut first = 1;
    let mut version = PICTURE;
    if ctx.argc() >= 3 && ctx.is(1, "version") {
        (first, version) = (3, ctx.int(2)?);
    }
    let mut text = String::new();
    if version == PICTURE {
        let (columns, rows) = match ctx.argc() - first {
            0 => (80, 40),
            2 | 4 => (ctx.int(first)?.clamp(1, COLUMNS), ctx.int(first + 1)?.clamp(1, ROWS)),
            _ => return Err(USE),
        };
        let constant = match ctx.argc() - first {
            4 => (ctx.float(first + 2)?, ctx.float(first + 3)?),
            _ => near_the_edge(&mut ctx.db().rng()),
        };
        text = julia(columns, rows, constant);
        text.push_str(&format!("A Julia set, of the constant {:.3} + {:.3}i.\n", constant.0, constant.1));
    }
    text.push_str(&match ctx.server.config.extended_redis_compatibility {
        true => format!("Redis ver. {REDIS_VERSION}\n"),
        false => format!("Valkey ver. {VALKEY_VERSION}\n"),
    });
    ctx.reply().verbatim(text.as_bytes());
    Ok(())
}

/// A constant on the outline of the Mandelbrot set's large part, a little enlarged: there the pictures are rich.
fn near_the_edge(rng: &mut Rng) -> Complex {
    let angle = rng.unit() * std::f64::consts::TAU;
    let (sin, cos) = angle.sin_cos();
    let radius = 1.05 * (1.0 - cos) / 2.0;
    (0.25 + radius * cos, radius * sin)
}

/// The set of the points that stay near 0 under z² + c, and how fast the others leave.
fn julia(columns: i64, rows: i64, c: Complex) -> String {
    let across = |i: i64, n: i64| (i as f64 + 0.5) / n as f64 * 2.0 - 1.0;
    let mut picture = String::with_capacity(((columns + 1) * rows) as usize);
    for row in 0..rows {
        for column in 0..columns {
            let mut z = (across(column, columns) * 1.6, across(row, rows) * 1.3);
            let steps = (1..SHADES.len() * 4).take_while(|_| {
                z = (z.0 * z.0 - z.1 * z.1 + c.0, 2.0 * z.0 * z.1 + c.1);
                z.0 * z.0 + z.1 * z.1 <= 4.0
            });
            picture.push(char::from(SHADES[steps.count() / 4]));
        }
        picture.push('\n');
    }
    picture
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_has_its_size_and_a_symmetry() {
        let picture = julia(40, 20, (-0.8, 0.156));
        let lines: Vec<&str> = picture.lines().collect();
        assert!(lines.len() == 20 && lines.iter().all(|line| line.len() == 40));
        // What leaves from z leaves from -z.
        let turned: String = lines[0].chars().rev().collect();
        assert_eq!(lines[19], turned);
        assert!(lines[10].contains('@') && lines[0].contains(' '));
    }

    #[test]
    fn any_constant_can_be_drawn() {
        for c in [(f64::INFINITY, 0.0), (1e300, -1e300), (0.0, 0.0)] {
            assert_eq!(julia(3, 2, c).len(), 8);
        }
        let mut rng = Rng::new(1);
        for _ in 0..1000 {
            let (real, imaginary) = near_the_edge(&mut rng);
            assert!(real.abs() < 1.0 && imaginary.abs() < 1.0);
        }
    }
}
