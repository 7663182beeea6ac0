//! What an error of the interpreter says.

use mlua::Error;

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
