//! RESP2 and RESP3: parsing requests and writing replies. Knows neither commands nor keys.

pub mod argv;
pub mod inline;
pub mod number;
pub mod reply;
pub mod request;

pub use argv::{Argv, OwnedArgv};
pub use reply::ReplyBuf;
pub use request::{Limits, ProtocolError, QueryBuf};
