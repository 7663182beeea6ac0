//! How much memory a key takes, by type and encoding: `used_memory` with the keys less that without, for each key or element.

use std::io;

use valkey_repl_e2e::server::Program;

use crate::data::{noise, send_all};
use crate::figures::{Figures, Side};
use crate::{Plan, start};

type Commands = fn(usize) -> Vec<Vec<u8>>;

/// What is stored: a name, how many commands, which, and how many things are counted (keys, or elements of one key).
const KINDS: &[(&str, usize, Commands)] = &[
    ("memory of a key, 16 B string", 200_000, |n| words("SET", n, vec![noise(n, 16)])),
    ("memory of a key, 64 B string", 200_000, |n| words("SET", n, vec![noise(n, 64)])),
    ("memory of a key, 120 B string", 100_000, |n| words("SET", n, vec![noise(n, 120)])),
    ("memory of a key, 250 B string", 100_000, |n| words("SET", n, vec![noise(n, 250)])),
    ("memory of a key, 1 KiB string", 50_000, |n| words("SET", n, vec![noise(n, 1024)])),
    ("memory of a key, number", 200_000, |n| words("SET", n, vec![(n * 1000).to_string().into_bytes()])),
    ("memory of a key, 64 B string that expires", 200_000, |n| {
        words("SET", n, vec![noise(n, 64), b"EX".to_vec(), b"100000".to_vec()])
    }),
    ("memory of a key, list of 10", 50_000, |n| words("RPUSH", n, many(n, 10, 1))),
    ("memory of a key, hash of 10", 50_000, |n| words("HSET", n, many(n, 10, 2))),
    ("memory of a key, set of 10", 50_000, |n| words("SADD", n, many(n, 10, 1))),
    ("memory of a key, set of 10 numbers", 50_000, |n| {
        words("SADD", n, (0..10).map(|i| (n * 10 + i).to_string().into_bytes()).collect())
    }),
    ("memory of a key, sorted set of 10", 50_000, |n| words("ZADD", n, scored(n, 10))),
    ("memory of a key, list of 100", 10_000, |n| words("RPUSH", n, many(n, 100, 1))),
    ("memory of a key, set of 10 long members", 20_000, |n| {
        words("SADD", n, (0..10).map(|i| noise(n * 10 + i, 70)).collect())
    }),
    ("memory of a key, hash whose fields expire", 20_000, |n| {
        let fields = (0..10).map(|i| noise(n * 10 + i, 12));
        let pairs = fields.clone().zip(0..10).flat_map(|(field, i)| [field, noise(n * 10 + i, 20)]).collect::<Vec<_>>();
        words(
            "HSETEX",
            n,
            [vec![b"EX".to_vec(), b"100000".to_vec(), b"FIELDS".to_vec(), b"10".to_vec()], pairs].concat(),
        )
    }),
    ("memory of a key, stream of 1", 20_000, |n| {
        words("XADD", n, vec![b"1-1".to_vec(), b"field".to_vec(), noise(n, 20)])
    }),
    ("memory of a key, HyperLogLog of 10", 20_000, |n| words("PFADD", n, many(n, 10, 1))),
    ("memory of an element, list", 200_000, |n| words("RPUSH", 0, vec![noise(n, 20)])),
    ("memory of an element, hash", 200_000, |n| words("HSET", 0, vec![noise(n, 20), noise(n, 40)])),
    ("memory of an element, set", 200_000, |n| words("SADD", 0, vec![noise(n, 20)])),
    ("memory of an element, sorted set", 200_000, |n| {
        words("ZADD", 0, vec![(n * 7919 % 1_000_003).to_string().into_bytes(), noise(n, 20)])
    }),
    ("memory of an element, stream", 200_000, |n| {
        words("XADD", 0, vec![format!("{}-0", n + 1).into_bytes(), b"field".to_vec(), noise(n, 20)])
    }),
];

fn words(command: &str, key: usize, rest: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    [vec![command.as_bytes().to_vec(), format!("key:{key:012}").into_bytes()], rest].concat()
}

/// The elements of a small collection, `each` words an element.
fn many(n: usize, count: usize, each: usize) -> Vec<Vec<u8>> {
    (0..count * each).map(|i| noise(n * 100 + i, 12)).collect()
}

fn scored(n: usize, count: usize) -> Vec<Vec<u8>> {
    (0..count).flat_map(|i| [(n * 31 + i * 7).to_string().into_bytes(), noise(n * 100 + i, 12)]).collect()
}

/// Measures each kind in a server of its own.
///
/// # Errors
/// A server failed.
pub fn measure(_: &Plan, program: &Program, figures: &mut Figures, side: Side) -> io::Result<()> {
    for (what, count, command) in KINDS {
        let server = start(program, 0, &[])?;
        let mut client = server.client()?;
        let used = |client: &mut valkey_repl_e2e::resp::Client| -> io::Result<f64> {
            let info = client.info("memory")?;
            let dataset = info.get("used_memory").and_then(|text| text.parse().ok());
            dataset.ok_or_else(|| io::Error::other("INFO memory lacks used_memory"))
        };
        let before = used(&mut client)?;
        send_all(&mut client, (0..*count).map(command))?;
        figures.add(side, what, "B", (used(&mut client)? - before) / *count as f64);
    }
    Ok(())
}
