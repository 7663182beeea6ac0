//! Whether a server runs with the value that it was told: `CONFIG GET` spells values in a way of its own.

/// Whether these are the same value of a directive: the one that was asked for, and what the server says.
pub(super) fn same(directive: &str, wanted: &str, says: &str) -> bool {
    match directive {
        // All classes come back, whichever of them were set.
        "client-output-buffer-limit" => {
            let (wanted, says) = (words(wanted), words(says));
            wanted.chunks(4).all(|class| says.chunks(4).any(|said| said == class))
        }
        // Letters in any order, and one that stands for many.
        "notify-keyspace-events" => letters(wanted) == letters(says),
        _ => words(wanted) == words(says),
    }
}

fn words(value: &str) -> Vec<String> {
    value.split_ascii_whitespace().map(word).collect()
}

/// A word as the server keeps it: numbers without units, names in lower case and new.
fn word(word: &str) -> String {
    let word = word.to_ascii_lowercase();
    let digits = word.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = word.split_at(digits);
    let factor: u64 = match unit {
        "" | "b" => 1,
        "k" => 1_000,
        "kb" => 1 << 10,
        "m" => 1_000_000,
        "mb" => 1 << 20,
        "g" => 1_000_000_000,
        "gb" => 1 << 30,
        _ => return if word == "slave" { "replica".to_owned() } else { word },
    };
    match number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor)) {
        Some(number) => number.to_string(),
        None => word,
    }
}

fn letters(value: &str) -> Vec<char> {
    let mut letters: Vec<char> = value.trim().replace('A', "g$lshzxetd").chars().collect();
    letters.sort_unstable();
    letters.dedup();
    letters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_known_again_in_the_servers_spelling() {
        for (directive, wanted, says) in [
            ("maxmemory", "1gb", "1073741824"),
            ("repl-backlog-size", "64MB", "67108864"),
            ("save", "3600 1  300 100", "3600 1 300 100"),
            ("maxmemory-policy", "AllKeys-LRU", "allkeys-lru"),
            ("hz", "050", "50"),
            (
                "client-output-buffer-limit",
                "replica 256mb 64mb 60",
                "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60",
            ),
            ("notify-keyspace-events", "KEA", "AKE"),
        ] {
            assert!(same(directive, wanted, says), "{directive} {wanted} {says}");
        }
    }

    #[test]
    fn another_value_is_another_value() {
        assert!(!same("maxmemory", "1gb", "1000000000"));
        assert!(!same("hz", "50", "10"));
        assert!(!same("client-output-buffer-limit", "replica 1 1 1", "normal 0 0 0 slave 1 1 2 pubsub 1 1 1"));
        assert!(!same("save", "3600 1", ""));
    }
}
