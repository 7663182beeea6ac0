//! Walks a file of commands and annotations without executing anything: is each whole, and each transaction closed?

use std::fmt;
use std::io::{self, BufRead};

/// The longest line that says how much follows.
const LONGEST_HEADER: usize = 127;

/// What is wrong.
#[derive(Debug)]
pub struct Wrong {
    /// Where; none if it is known only that the file is not one of commands.
    pub at: Option<u64>,
    /// What.
    pub what: String,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            Some(at) => write!(f, "0x{at:>16x}: {}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

/// What a file holds, one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// A command.
    Command,
    /// A line that begins with `#`, without its end.
    Annotation(Vec<u8>),
}

/// Reads records.
pub struct Records<R> {
    input: R,
    name: String,
    at: u64,
    line: u64,
    in_transaction: bool,
    whole: u64,
}

type Result<T> = std::result::Result<T, Wrong>;

impl<R: BufRead> Records<R> {
    /// Of `input`, which begins at byte `at` of the file called `name`.
    pub fn new(input: R, name: String, at: u64) -> Self {
        Records { input, name, at, line: 1, in_transaction: false, whole: at }
    }

    /// Where the next record begins, or the one that is wrong.
    pub fn offset(&self) -> u64 {
        self.at
    }

    /// The line, beginning with 1, that is read next.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// Up to where everything is complete: records, and transactions.
    pub fn whole(&self) -> u64 {
        self.whole
    }

    /// The next record; `None` at the end of the file.
    ///
    /// # Errors
    /// What is wrong, and where. The next call would go on in the midst of it.
    pub fn next_record(&mut self) -> Result<Option<Record>> {
        let record = match self.peek()? {
            None if self.in_transaction => return self.wrong(self.at, "Reached EOF before reading EXEC for MULTI"),
            None => return Ok(None),
            Some(b'*') => {
                self.command()?;
                Record::Command
            }
            Some(b'#') => Record::Annotation(self.annotation()?),
            Some(_) => return Err(Wrong { at: None, what: "format error".to_owned() }),
        };
        if !self.in_transaction {
            self.whole = self.at;
        }
        Ok(Some(record))
    }

    fn command(&mut self) -> Result<()> {
        let start = self.at;
        let count = self.header(b'*')?;
        if count < 1 {
            return self.wrong(start, format!("Expected at least one argument, got: {count}"));
        }
        for i in 0..count {
            // Long enough for the names that matter.
            let mut name = [0; 6];
            let (at, len) = self.argument(&mut name)?;
            let name = if len <= name.len() as u64 { &name[..len as usize] } else { &[] };
            let is = |word: &[u8]| i == 0 && name.eq_ignore_ascii_case(word);
            match (is(b"multi"), is(b"exec"), self.in_transaction) {
                (true, _, true) => return self.wrong(at, format!("Unexpected MULTI in AOF {}", self.name)),
                (_, true, false) => return self.wrong(at, format!("Unexpected EXEC in AOF {}", self.name)),
                (true, _, false) => self.in_transaction = true,
                (_, true, true) => self.in_transaction = false,
                (false, false, _) => {}
            }
        }
        Ok(())
    }

    /// An argument, of which the beginning goes to `beginning`. Returns where it begins, and its length.
    fn argument(&mut self, beginning: &mut [u8]) -> Result<(u64, u64)> {
        let start = self.at;
        let length = self.header(b'$')?;
        let Some(len) = u64::try_from(length).ok().filter(|len| *len <= i64::MAX as u64 - 2) else {
            let what = format!("Expected to read string of {length} bytes, which is not in the suitable range");
            return self.wrong(start, what);
        };
        let (at, mut read, mut end) = (self.at, 0, [0; 2]);
        // The bytes, and the end of the line.
        while read < len + 2 {
            let piece = self.fill()?;
            if piece.is_empty() {
                return self.wrong(at, format!("Expected to read {} bytes, got {read} bytes", len + 2));
            }
            let taken = piece.len().min(usize::try_from(len + 2 - read).unwrap_or(usize::MAX));
            for (offset, byte) in (read..).zip(&piece[..taken.min(beginning.len())]) {
                if let Some(place) = usize::try_from(offset).ok().and_then(|o| beginning.get_mut(o)) {
                    *place = *byte;
                }
            }
            let first_of_end = usize::try_from(len.saturating_sub(read)).unwrap_or(usize::MAX).min(taken);
            for (offset, byte) in (read + first_of_end as u64..).zip(&piece[first_of_end..taken]) {
                end[(offset - len) as usize] = *byte;
            }
            self.consume(taken);
            read += taken as u64;
        }
        self.newline(at, end)?;
        Ok((at, len))
    }

    /// A line of a mark and a number.
    fn header(&mut self, mark: u8) -> Result<i64> {
        let start = self.at;
        let mut line = Vec::new();
        self.read_line(&mut line, LONGEST_HEADER)?;
        match line.first() {
            None => {
                return self.wrong(start, format!("Expected prefix '{}', got the end of the file", char::from(mark)));
            }
            Some(first) if *first != mark => {
                let what = format!("Expected prefix '{}', got: '{}'", char::from(mark), first.escape_ascii());
                return self.wrong(start, what);
            }
            Some(_) => {}
        }
        let digits = line[1..].iter().enumerate().take_while(|(i, c)| c.is_ascii_digit() || (*i == 0 && **c == b'-'));
        let digits = digits.count();
        let rest = &line[1 + digits..];
        let byte = |i: usize| rest.get(i).copied().unwrap_or(0);
        self.newline(start, [byte(0), byte(1)])?;
        let number = std::str::from_utf8(&line[1..=digits]).ok().and_then(|text| text.parse().ok());
        let text = String::from_utf8_lossy(&line[..=digits]);
        number.map_or_else(|| self.wrong(start, format!("Expected a number, got: {text}")), Ok)
    }

    fn annotation(&mut self) -> Result<Vec<u8>> {
        let start = self.at;
        let mut line = Vec::new();
        self.read_line(&mut line, usize::MAX)?;
        if line.pop() != Some(b'\n') {
            return self.wrong(start, "Expected the end of an annotation, got the end of the file");
        }
        self.line += 1;
        line.pop_if(|c| *c == b'\r');
        Ok(line)
    }

    fn newline(&mut self, start: u64, end: [u8; 2]) -> Result<()> {
        if end != *b"\r\n" {
            return self.wrong(start, format!("Expected \\r\\n, got: {:02x}{:02x}", end[0], end[1]));
        }
        self.line += 1;
        Ok(())
    }

    /// Reads up to and including the end of a line, or the end of the file, or `longest` bytes.
    fn read_line(&mut self, line: &mut Vec<u8>, longest: usize) -> Result<()> {
        while line.len() < longest {
            let piece = self.fill()?;
            let room = piece.len().min(longest - line.len());
            let end = memchr::memchr(b'\n', &piece[..room]);
            let taken = end.map_or(room, |end| end + 1);
            line.extend_from_slice(&piece[..taken]);
            self.consume(taken);
            if end.is_some() || taken == 0 {
                break;
            }
        }
        Ok(())
    }

    fn peek(&mut self) -> Result<Option<u8>> {
        self.fill().map(|piece| piece.first().copied())
    }

    fn fill(&mut self) -> Result<&[u8]> {
        loop {
            match self.input.fill_buf() {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(Wrong { at: Some(self.at), what: format!("Failed to read: {e}") }),
                Ok(_) => break,
            }
        }
        // Again, for the borrow: it is there.
        self.input.fill_buf().map_err(|e| Wrong { at: Some(self.at), what: format!("Failed to read: {e}") })
    }

    fn consume(&mut self, count: usize) {
        self.input.consume(count);
        self.at += count as u64;
    }

    fn wrong<T>(&self, at: u64, what: impl Into<String>) -> Result<T> {
        Err(Wrong { at: Some(at), what: what.into() })
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    /// What is wrong with a file, up to where it is whole, and in which line the end of the reading was.
    fn walked(bytes: &[u8]) -> (Option<String>, u64, u64) {
        // So that every piece of a record is met across the end of a buffer.
        let mut results = (1..8).map(|capacity| {
            let mut records = Records::new(BufReader::with_capacity(capacity, bytes), "a".to_owned(), 0);
            let wrong = loop {
                match records.next_record() {
                    Ok(Some(_)) => {}
                    Ok(None) => break None,
                    Err(e) => break Some(e.to_string()),
                }
            };
            (wrong, records.whole(), records.line())
        });
        let first = results.next().unwrap();
        assert!(results.all(|other| other == first));
        first
    }

    const SET: &[u8] = b"*3\r\n$3\r\nset\r\n$1\r\na\r\n$5\r\nhello\r\n";
    const MULTI: &[u8] = b"*1\r\n$5\r\nMULTI\r\n";
    const EXEC: &[u8] = b"*1\r\n$4\r\nexec\r\n";

    #[test]
    fn whole_commands_annotations_and_transactions_pass() {
        let file = [b"#TS:1\r\n", SET, MULTI, SET, SET, EXEC, SET].concat();
        assert_eq!(walked(&file), (None, file.len() as u64, 36));
        assert_eq!(walked(b""), (None, 0, 1));
        let mut records = Records::new(&b"#TS:12\r\n"[..], "a".to_owned(), 5);
        assert_eq!(records.next_record().unwrap(), Some(Record::Annotation(b"#TS:12".to_vec())));
        assert_eq!((records.next_record().unwrap(), records.whole()), (None, 13));
    }

    #[test]
    fn a_file_is_whole_up_to_the_record_or_transaction_that_is_not() {
        let set = SET.len() as u64;
        for cut in 1..SET.len() {
            let (wrong, whole, _) = walked(&[SET, &SET[..cut]].concat());
            assert!(wrong.is_some_and(|w| w.starts_with("0x")), "{cut}");
            assert_eq!(whole, set);
        }
        let wrong = |bytes: &[u8]| walked(bytes).0.unwrap();
        assert_eq!(wrong(&[SET, b"!!!"].concat()), "format error");
        assert_eq!(wrong(b"*1\r\n!1\r\n"), "0x               4: Expected prefix '$', got: '!'");
        assert_eq!(wrong(b"*2x\r\n"), "0x               0: Expected \\r\\n, got: 780d");
        assert_eq!(wrong(b"*1\r\n$3\r\nset!\r\n"), "0x               8: Expected \\r\\n, got: 210d");
        assert_eq!(wrong(b"*1\r\n$9\r\nset"), "0x               8: Expected to read 11 bytes, got 3 bytes");
        let range = "0x               4: Expected to read string of -1 bytes, which is not in the suitable range";
        assert_eq!(wrong(b"*1\r\n$-1\r\n"), range);
        assert!(wrong(b"*0\r\n").ends_with("Expected at least one argument, got: 0"));
        assert!(wrong(b"*99999999999999999999\r\n").ends_with("Expected a number, got: *99999999999999999999"));
        assert!(wrong(&[b"*", &[b'1'; 5000][..]].concat()).ends_with("Expected \\r\\n, got: 0000"));
        assert!(wrong(b"#TS:1").ends_with("Expected the end of an annotation, got the end of the file"));
        let open = [SET, MULTI, SET].concat();
        assert_eq!(walked(&open).1, set);
        assert!(wrong(&open).ends_with("Reached EOF before reading EXEC for MULTI"));
        assert!(wrong(&[MULTI, MULTI].concat()).ends_with("Unexpected MULTI in AOF a"));
        assert!(wrong(&[SET, EXEC].concat()).ends_with("Unexpected EXEC in AOF a"));
    }
}
