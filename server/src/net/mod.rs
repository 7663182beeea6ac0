//! The network: readiness, listeners, sockets. Knows nothing of commands.

pub mod listener;
pub mod peers;
pub mod poll;
pub mod resolve;
pub mod stream;
pub mod waker;

pub use poll::{Event, Interest, Poll, Token};
pub use stream::Stream;
