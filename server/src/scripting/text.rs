//! The texts of errors.

use mlua::Error;

/// A text without the ends of lines at its own end; spaces stay, as they are the text's.
pub fn without_line_ends(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n')).map_or(0, |last| last + 1);
    &text[..end]
}

/// The text for a client: the error itself, without the trace of calls that the binding adds.
pub fn of(error: &Error) -> String {
    match error {
        Error::RuntimeError(text) | Error::MemoryError(text) => text.clone(),
        Error::SyntaxError { message, .. } => message.clone(),
        Error::CallbackError { cause, .. } => of(cause),
        Error::StackError => "stack overflow".to_owned(),
        other => other.to_string(),
    }
}
