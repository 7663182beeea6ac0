//! The generator behind `math.random`: the sequence of `lrand48`, so that a script that seeds it gets the numbers it gets from Valkey.

use mlua::{Lua, MultiValue, Result, Table, Value};

use super::raise;

/// 48 bits of state.
#[derive(Debug)]
pub struct Random(u64);

impl Default for Random {
    fn default() -> Self {
        Random(0x1234_abcd_330e)
    }
}

impl Random {
    /// Begins the sequence of a seed.
    pub fn seeded(seed: i32) -> Self {
        Random(u64::from(seed as u32) << 16 | 0x330e)
    }

    /// The next number, from 0 to below 1.
    pub fn fraction(&mut self) -> f64 {
        const LARGEST: u64 = i32::MAX as u64;
        self.0 = self.0.wrapping_mul(0x5_deec_e66d).wrapping_add(0xb) & 0xffff_ffff_ffff;
        ((self.0 >> 17) % LARGEST) as f64 / LARGEST as f64
    }
}

/// Puts `random` and `randomseed` into `native`. The sequence is the interpreter's.
///
/// # Errors
/// When memory is short.
pub fn register(lua: &Lua, native: &Table) -> Result<()> {
    lua.set_app_data(Random::default());
    native.raw_set("random", lua.create_function(random)?)?;
    native.raw_set("randomseed", lua.create_function(randomseed)?)
}

/// The argument at `i` as a whole number of 32 bits.
fn whole(lua: &Lua, name: &str, args: &MultiValue, i: usize) -> Result<i64> {
    let number = match args.get(i) {
        Some(Value::Integer(n)) => Some(*n as f64),
        Some(Value::Number(n)) => Some(*n),
        Some(Value::String(text)) => crate::data::num::parse_double(&text.as_bytes()),
        _ => None,
    };
    match number {
        Some(n) => Ok(i64::from(n as i64 as i32)),
        None => {
            let found = args.get(i).map_or("no value", Value::type_name);
            Err(raise::plain(lua, &format!("bad argument #{} to '{name}' (number expected, got {found})", i + 1)))
        }
    }
}

fn random(lua: &Lua, args: MultiValue) -> Result<f64> {
    let fraction = lua.app_data_mut::<Random>().map_or(0.0, |mut random| random.fraction());
    let (lower, upper) = match args.len() {
        0 => return Ok(fraction),
        1 => (1, whole(lua, "random", &args, 0)?),
        2 => (whole(lua, "random", &args, 0)?, whole(lua, "random", &args, 1)?),
        _ => return Err(raise::plain(lua, "wrong number of arguments")),
    };
    if lower > upper {
        let position = args.len();
        return Err(raise::plain(lua, &format!("bad argument #{position} to 'random' (interval is empty)")));
    }
    Ok((fraction * (upper - lower + 1) as f64).floor() + lower as f64)
}

fn randomseed(lua: &Lua, args: MultiValue) -> Result<()> {
    let seed = whole(lua, "randomseed", &args, 0)?;
    lua.set_app_data(Random::seeded(seed as i32));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_numbers_of_lrand48() {
        // srand48(1); lrand48() …
        let mut random = Random::seeded(1);
        let numbers = [(); 3].map(|()| (random.fraction() * f64::from(i32::MAX)).round() as i64);
        assert_eq!(numbers, [89_400_484, 976_015_093, 1_792_756_325]);
    }
}
