//! `--eval`: runs a script from a file.

use std::fs;
use std::path::Path;

use super::super::connection::reason;
use super::super::session::Session;
use super::super::stop::Stop;

/// Runs the script with `args`: keys, then a comma alone, then other arguments.
///
/// # Errors
/// When the file cannot be read, the connection is lost, or `-e` was given and the script fails.
pub fn run(session: &mut Session, path: &Path, args: &[Vec<u8>]) -> Result<(), Stop> {
    let script = fs::read(path)
        .map_err(|error| Stop::because(format!("Can't open file '{}': {}", path.display(), reason(&error))))?;
    let repeat = session.options.repeat;
    session.run(&command(script, args), repeat)
}

fn command(script: Vec<u8>, args: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let comma = args.iter().position(|arg| arg == b",");
    let (keys, rest) = args.split_at(comma.unwrap_or(args.len()));
    let rest = rest.get(1..).unwrap_or_default();
    let head = [b"EVAL".to_vec(), script, keys.len().to_string().into_bytes()];
    head.into_iter().chain(keys.iter().chain(rest).cloned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comma_parts_keys_from_arguments() {
        let shown = |line: &str| {
            let args: Vec<Vec<u8>> = line.split_whitespace().map(Into::into).collect();
            let words = command(b"S".to_vec(), &args);
            words.iter().map(|word| String::from_utf8_lossy(word)).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(shown("k1 k2 , a b"), "EVAL S 2 k1 k2 a b");
        assert_eq!(shown("k1 k2"), "EVAL S 2 k1 k2");
        assert_eq!(shown(", a , b"), "EVAL S 0 a , b");
        assert_eq!(shown("k ,"), "EVAL S 1 k");
        assert_eq!(shown(""), "EVAL S 0");
    }
}
