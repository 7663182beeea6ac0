//! RESP2, as much of it as an operator speaks.

use std::io;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// What a server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// `+text`
    Simple(String),
    /// `-text`
    Error(String),
    /// `:n`
    Int(i64),
    /// `$n`
    Bulk(Vec<u8>),
    /// `$-1` or `*-1`
    Null,
    /// `*n`
    Array(Vec<Self>),
}

impl Reply {
    /// Its text, where it is one.
    pub fn text(&self) -> Option<std::borrow::Cow<'_, str>> {
        match self {
            Self::Simple(text) => Some(text.as_str().into()),
            Self::Bulk(bytes) => Some(String::from_utf8_lossy(bytes)),
            Self::Int(number) => Some(number.to_string().into()),
            Self::Error(_) | Self::Null | Self::Array(_) => None,
        }
    }

    /// Its number, where it is one, as an integer or as text.
    pub fn number(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            _ => self.text()?.parse().ok(),
        }
    }
}

/// Bytes that are no RESP2, or more than an answer to us can be.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("what came back is no answer in RESP2")]
pub(crate) struct Malformed;

const LONGEST_LINE: usize = 64 << 10;
const LONGEST_BULK: usize = 16 << 20;
const LONGEST_ARRAY: usize = 1 << 16;
const DEEPEST: u8 = 4;

/// Asks one thing on a connection on which nothing else is under way.
///
/// # Errors
/// The connection ends, or what comes back is no answer.
pub(crate) async fn exchange<T: AsRef<[u8]>>(stream: &mut TcpStream, request: &[T]) -> io::Result<Reply> {
    let mut bytes = Vec::new();
    encode(request, &mut bytes);
    stream.write_all(&bytes).await?;
    let mut received = Vec::new();
    loop {
        match parse(&received) {
            Ok(Some((reply, _))) => return Ok(reply),
            Ok(None) if stream.read_buf(&mut received).await? == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(None) => {}
            Err(error) => return Err(io::Error::other(error)),
        }
    }
}

/// Appends a request.
pub(crate) fn encode<T: AsRef<[u8]>>(request: &[T], out: &mut Vec<u8>) {
    out.extend_from_slice(format!("*{}\r\n", request.len()).as_bytes());
    for word in request {
        let word = word.as_ref();
        out.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
}

/// Takes the first reply out of what was received, if it is there as a whole, and says how many bytes it was.
pub(crate) fn parse(received: &[u8]) -> Result<Option<(Reply, usize)>, Malformed> {
    let mut rest = received;
    Ok(reply(&mut rest, 0)?.map(|reply| (reply, received.len() - rest.len())))
}

fn reply(rest: &mut &[u8], depth: u8) -> Result<Option<Reply>, Malformed> {
    let Some(line) = line(rest)? else { return Ok(None) };
    let (kind, line) = line.split_first().ok_or(Malformed)?;
    let text = || String::from_utf8_lossy(line).into_owned();
    Ok(Some(match kind {
        b'+' => Reply::Simple(text()),
        b'-' => Reply::Error(text()),
        b':' => Reply::Int(text().parse().map_err(|_| Malformed)?),
        b'$' => match length(&text(), LONGEST_BULK)? {
            None => Reply::Null,
            Some(length) => {
                let Some((bulk, after)) = rest.split_at_checked(length) else { return Ok(None) };
                let Some((end, after)) = after.split_at_checked(2) else { return Ok(None) };
                if end != b"\r\n" {
                    return Err(Malformed);
                }
                *rest = after;
                Reply::Bulk(bulk.to_vec())
            }
        },
        b'*' => match length(&text(), LONGEST_ARRAY)? {
            None => Reply::Null,
            Some(_) if depth == DEEPEST => return Err(Malformed),
            Some(length) => {
                let mut items = Vec::with_capacity(length.min(64));
                for _ in 0..length {
                    let Some(item) = reply(rest, depth + 1)? else { return Ok(None) };
                    items.push(item);
                }
                Reply::Array(items)
            }
        },
        _ => return Err(Malformed),
    }))
}

fn line<'a>(rest: &mut &'a [u8]) -> Result<Option<&'a [u8]>, Malformed> {
    match rest.windows(2).position(|pair| pair == b"\r\n") {
        Some(end) => {
            let (line, after) = rest.split_at(end);
            *rest = after.get(2..).ok_or(Malformed)?;
            Ok(Some(line))
        }
        None if rest.len() > LONGEST_LINE => Err(Malformed),
        None => Ok(None),
    }
}

fn length(text: &str, longest: usize) -> Result<Option<usize>, Malformed> {
    match text.parse::<i64>().map_err(|_| Malformed)? {
        -1 => Ok(None),
        length => usize::try_from(length).ok().filter(|length| *length <= longest).map(Some).ok_or(Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_reply_is_read_however_it_is_cut() {
        let bytes = b"*6\r\n+OK\r\n-ERR no\r\n:-7\r\n$4\r\na\r\nb\r\n$-1\r\n*0\r\n+next";
        let expected = Reply::Array(vec![
            Reply::Simple("OK".into()),
            Reply::Error("ERR no".into()),
            Reply::Int(-7),
            Reply::Bulk(b"a\r\nb".to_vec()),
            Reply::Null,
            Reply::Array(vec![]),
        ]);
        let whole = bytes.len() - "+next".len();
        for cut in 0..whole {
            assert_eq!(parse(&bytes[..cut]), Ok(None), "{cut}");
        }
        assert_eq!(parse(bytes), Ok(Some((expected, whole))));
    }

    #[test]
    fn what_is_no_answer_is_refused_without_waiting_for_more() {
        for bytes in [&b"HTTP/1.1 400\r\n"[..], b"$99999999999\r\n", b"*-2\r\n", b"$1\r\nabc", b"\r\n"] {
            assert_eq!(parse(bytes), Err(Malformed), "{}", String::from_utf8_lossy(bytes));
        }
        assert_eq!(parse(&vec![b'+'; LONGEST_LINE + 1]), Err(Malformed));
        assert_eq!(parse(&b"*1\r\n".repeat(9)), Err(Malformed));
    }
}
