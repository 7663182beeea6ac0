//! Running a program and taking its output or its complaint.

use std::ffi::OsStr;
use std::io::Write;
use std::process::{Command, Stdio};

/// Runs a program to its end and returns what it wrote to standard output; `input` is its standard input.
///
/// # Errors
/// It could not be started or ended with another status than 0; the text names it and holds what it wrote to standard error.
pub fn run<S: AsRef<OsStr>>(program: &str, args: &[S], env: &[(&str, &OsStr)], input: &str) -> Result<String, String> {
    let mut command = Command::new(program);
    command.args(args).envs(env.iter().copied());
    let failed = |why: &dyn std::fmt::Display| {
        let words: Vec<_> = args.iter().map(|a| a.as_ref().to_string_lossy()).collect();
        format!("{program} {}: {why}", words.join(" "))
    };
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed(&error))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that does not read its input may be gone already; its status tells.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(|error| failed(&error))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        Ok(text)
    } else {
        Err(failed(&format!("{}: {}{}", output.status, String::from_utf8_lossy(&output.stderr).trim_end(), text)))
    }
}
