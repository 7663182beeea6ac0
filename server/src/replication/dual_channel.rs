//! Following a primary over two connections (`dual-channel-replication-enabled`).
//!
//! The primary answers PSYNC with `+DUALCHANNELSYNC`: the snapshot is to be asked for on a second connection. That one takes the
//! place of the [`Link`]'s, and the first is set aside as its main channel. Where the snapshot ends is told before it begins, so
//! the main channel asks for the stream from there on at once, and what comes is kept here, not at the primary's, until the
//! snapshot is loaded. Then the main channel is the link's connection again, and what was kept is executed piece by piece.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::SocketAddr;

use super::link::{Asked, Link, Phase};
use crate::net::{Interest, Stream, Token};
use crate::resp::argv::encode_command;
use crate::server::{Server, VALKEY_VERSION};
use crate::{log_debug, log_notice, log_warning};

/// Bytes that are kept in one piece, and executed in one go.
const PIECE: usize = 64 * 1024;
/// Pieces that are read in one go.
const PIECES_PER_TURN: usize = 16;

/// How far the main channel is.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// The snapshot has not begun.
    Idle,
    /// The primary is told which snapshot is ours.
    Identify,
    /// PSYNC was sent.
    AwaitPsync,
    /// The stream arrives and is kept.
    Keeping,
    /// So much is kept that nothing more is read: the primary keeps the rest.
    Full,
}

/// The stream as it arrived, in pieces.
#[derive(Debug, Default)]
pub struct Kept {
    pieces: VecDeque<Vec<u8>>,
    bytes: usize,
}

impl Kept {
    /// Bytes of memory.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The piece that is to be executed next.
    pub fn pop(&mut self) -> Option<Vec<u8>> {
        let piece = self.pieces.pop_front()?;
        self.bytes -= piece.capacity();
        Some(piece)
    }

    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// A piece with room for at least one more byte.
    fn room(&mut self) -> &mut Vec<u8> {
        if self.pieces.back().is_none_or(|p| p.len() == p.capacity()) {
            let piece = Vec::with_capacity(PIECE);
            self.bytes += piece.capacity();
            self.pieces.push_back(piece);
        }
        let last = self.pieces.len() - 1;
        &mut self.pieces[last]
    }
}

/// The connection that carries the stream while the snapshot comes over another.
#[derive(Debug)]
pub struct MainChannel {
    stream: Stream,
    step: Step,
    /// Received and not understood yet, until the stream begins.
    input: Vec<u8>,
    /// The history and offset at which the snapshot ends.
    end: Option<(super::ReplId, u64)>,
    /// The database that the stream has selected there.
    db: usize,
    kept: Kept,
}

impl Link {
    /// Bytes of the stream that are kept to be executed later.
    pub fn kept_bytes(&self) -> usize {
        self.kept.bytes() + self.main.as_ref().map_or(0, |m| m.kept.bytes())
    }

    /// Whether the connection that carries the stream was lost while the snapshot comes over another.
    pub fn lost_main_channel(&self) -> bool {
        self.dual_channel && self.main.is_none()
    }
}

impl Server {
    /// `+DUALCHANNELSYNC`: sets the connection aside and makes another for the snapshot.
    pub fn open_rdb_channel(&mut self) -> Result<(), String> {
        let (source, multipath) = (self.link_source(), self.config.repl_mptcp);
        let Some(link) = &mut self.repl.link else { return Ok(()) };
        let Some(main) = link.stream.take() else { return Ok(()) };
        self.poll.remove(&main);
        let opened = main
            .peer_addr()
            .ok_or_else(|| std::io::Error::other("the PRIMARY has no address"))
            .and_then(|addr| Stream::connect(addr, source, multipath))
            .and_then(|rdb| {
                self.poll.add(&main, Token::MainChannel, Interest::Read)?;
                self.poll.add(&rdb, Token::PrimaryLink, Interest::ReadWrite)?;
                Ok(rdb)
            });
        let rdb = opened.map_err(|e| format!("Unable to connect to PRIMARY for the snapshot: {e}"))?;
        rdb.tune(std::time::Duration::from_secs(u64::from(self.config.tcp_keepalive)));
        let input = std::mem::take(&mut link.input);
        link.main = Some(Box::new(MainChannel::new(main, input)));
        link.dual_channel = true;
        link.kept_peak = 0;
        link.stream = Some(rdb);
        link.phase = Phase::Connecting;
        Ok(())
    }

    /// The address that connections to the primary are made from, if one is configured.
    pub fn link_source(&self) -> Option<SocketAddr> {
        let ip = String::from_utf8_lossy(&self.config.bind_source_addr).parse().ok()?;
        Some(SocketAddr::new(ip, 0))
    }

    /// What the connection for the snapshot says of itself.
    pub fn introduce_rdb_channel(&mut self) {
        let port = self.announced_port().to_string();
        let Some(link) = &mut self.repl.link else { return };
        let mut due = VecDeque::new();
        link.authenticate(&self.config, &mut due);
        let mut args: Vec<&[u8]> = vec![b"REPLCONF", b"capa", b"eof", b"rdb-only", b"1", b"rdb-channel", b"1"];
        args.extend([&b"listening-port"[..], port.as_bytes()]);
        if !self.config.replica_announce_ip.is_empty() {
            args.extend([&b"ip-address"[..], &self.config.replica_announce_ip]);
        }
        link.send(args);
        due.push_back(Asked::RdbChannel);
        link.send([&b"REPLCONF"[..], b"version", VALKEY_VERSION.as_bytes()]);
        due.push_back(Asked::Info("VERSION"));
        link.phase = Phase::Handshake(due);
    }

    /// `$ENDOFF:<offset> <id> <db> <client>`: where the snapshot that follows will end.
    pub fn end_offset_answered(&mut self, line: &str) -> Result<(), String> {
        let end = parse_end_offset(line).ok_or_else(|| format!("Received unexpected $ENDOFF response: {line}"))?;
        let Some(link) = &mut self.repl.link else { return Ok(()) };
        let Some(main) = &mut link.main else { return Err("the main channel was lost".to_owned()) };
        log_notice!("Full resync from primary: {}:{}", String::from_utf8_lossy(&end.id), end.offset);
        main.db = end.db;
        main.end = Some((end.id, end.offset));
        main.step = Step::Identify;
        main.send([&b"REPLCONF"[..], b"set-rdb-client-id", end.client.as_bytes()])?;
        self.begin_receiving(Some((end.id, end.offset)), None);
        self.receive_snapshot()
    }

    /// The main channel has something to read, or is gone.
    pub fn main_channel_ready(&mut self) {
        let Err(why) = self.read_main_channel() else { return };
        log_warning!("Aborting dual channel sync. Main channel: {why}");
        self.drop_main_channel();
        // While the snapshot is being loaded, the loader has to notice.
        if self.loading.progress.is_none() {
            self.retry_link();
        }
    }

    fn read_main_channel(&mut self) -> Result<(), String> {
        let now = self.now_ms();
        let limit = self.config.client_output_buffer_limit.replica.hard_bytes;
        for _ in 0..PIECES_PER_TURN {
            let Some(link) = &mut self.repl.link else { return Ok(()) };
            let Some(main) = &mut link.main else { return Ok(()) };
            match main.step {
                Step::Keeping if limit > 0 && main.kept.bytes() as u64 > limit => {
                    log_notice!(
                        "Replication buffer limit reached ({limit} bytes), stopping buffering. Further accumulation may occur on primary side."
                    );
                    main.step = Step::Full;
                    return self
                        .poll
                        .modify(&main.stream, Token::MainChannel, Interest::None)
                        .map_err(|e| e.to_string());
                }
                Step::Keeping => {
                    let piece = main.kept.room();
                    let room = piece.capacity() - piece.len();
                    match main.stream.read_into(piece, room) {
                        Ok(0) => return Err("the PRIMARY closed the connection".to_owned()),
                        Ok(n) => {
                            self.stats.repl_bytes_in += n as u64;
                            link.last_io_ms = now;
                            link.kept_peak = link.kept_peak.max(main.kept.bytes());
                        }
                        Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                        Err(e) => return Err(e.to_string()),
                    }
                }
                // Only errors and the end are told then.
                Step::Full => return Err("the PRIMARY closed the connection".to_owned()),
                Step::Idle | Step::Identify | Step::AwaitPsync => {
                    if let Some(line) = super::link::take_line(&mut main.input) {
                        if !line.is_empty() {
                            self.main_channel_answered(&line)?;
                        }
                        continue;
                    }
                    if main.input.len() > super::link::LINE_MAX {
                        return Err("the PRIMARY answered with something endless".to_owned());
                    }
                    main.input.reserve(4096);
                    match main.stream.read_into(&mut main.input, 4096) {
                        Ok(0) => return Err("the PRIMARY closed the connection".to_owned()),
                        Ok(_) => {}
                        Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                        Err(e) => return Err(e.to_string()),
                    }
                }
            }
        }
        Ok(())
    }

    fn main_channel_answered(&mut self, line: &str) -> Result<(), String> {
        let stop = self.debug.stop_after_fork;
        let Some(link) = &mut self.repl.link else { return Ok(()) };
        let Some(main) = &mut link.main else { return Ok(()) };
        match main.step {
            Step::Identify if line.starts_with('+') => {
                let Some((id, offset)) = main.end else { return Err("no snapshot has begun".to_owned()) };
                if stop {
                    crate::sys::kill(std::process::id() as i32, libc::SIGSTOP);
                }
                main.step = Step::AwaitPsync;
                main.send([&b"PSYNC"[..], &id, (offset + 1).to_string().as_bytes()])
            }
            Step::AwaitPsync if line.starts_with("+CONTINUE") => {
                log_notice!(
                    "PRIMARY <-> REPLICA sync: Primary accepted a Partial Resynchronization, RDB load in background."
                );
                main.step = Step::Keeping;
                let early = std::mem::take(&mut main.input);
                for part in early.chunks(PIECE) {
                    let piece = main.kept.room();
                    let (now, later) = part.split_at(part.len().min(piece.capacity() - piece.len()));
                    piece.extend_from_slice(now);
                    if !later.is_empty() {
                        main.kept.room().extend_from_slice(later);
                    }
                }
                if matches!(link.phase, Phase::SnapshotLoaded) {
                    log_debug!("Dual channel replication: Psync established after rdb load");
                    self.join_channels();
                }
                Ok(())
            }
            _ => Err(format!("unexpected answer: {line}")),
        }
    }

    /// The snapshot is loaded: goes on with the stream, or waits for it.
    pub fn snapshot_loaded(&mut self) {
        let Some(link) = &mut self.repl.link else { return };
        let Some(main) = &link.main else { return };
        if matches!(main.step, Step::Keeping | Step::Full) {
            return self.join_channels();
        }
        if let Some(rdb) = link.stream.take() {
            self.poll.remove(&rdb);
        }
        link.phase = Phase::SnapshotLoaded;
    }

    /// The main channel becomes the link; what it brought meanwhile is executed first.
    fn join_channels(&mut self) {
        let Some(link) = &mut self.repl.link else { return };
        let Some(main) = link.main.take() else { return };
        if let Some(rdb) = link.stream.take() {
            self.poll.remove(&rdb);
        }
        link.dual_channel = false;
        link.input.clear();
        link.kept = main.kept;
        link.stream_db = main.db;
        link.stream = Some(main.stream);
        self.link_up();
        log_notice!("The stream that arrived during the sync is being executed");
    }

    /// Gives the main channel up, with all that it brought.
    pub fn drop_main_channel(&mut self) {
        let Some(main) = self.repl.link.as_mut().and_then(|link| link.main.take()) else { return };
        log_notice!("Aborting dual channel sync");
        self.poll.remove(&main.stream);
        if !main.kept.is_empty() {
            self.bio.free_object(main.kept);
        }
    }
}

impl MainChannel {
    fn new(stream: Stream, input: Vec<u8>) -> Self {
        MainChannel { stream, step: Step::Idle, input, end: None, db: 0, kept: Kept::default() }
    }

    /// Sends a command. The socket is empty: what it does not take whole, it will never take.
    fn send<'a>(&self, args: impl IntoIterator<Item = &'a [u8], IntoIter: ExactSizeIterator>) -> Result<(), String> {
        let mut bytes = Vec::new();
        encode_command(&mut bytes, args);
        match self.stream.write(&bytes) {
            Ok(n) if n == bytes.len() => Ok(()),
            Ok(_) => Err("the PRIMARY does not read".to_owned()),
            Err(e) => Err(e.to_string()),
        }
    }
}

/// Where a snapshot ends.
#[derive(Debug, PartialEq, Eq)]
struct EndOffset {
    offset: u64,
    id: super::ReplId,
    db: usize,
    /// The number by which the primary knows the connection.
    client: String,
}

fn parse_end_offset(line: &str) -> Option<EndOffset> {
    let mut words = line.strip_prefix("$ENDOFF:")?.split(' ');
    let end = EndOffset {
        offset: words.next()?.parse().ok()?,
        id: words.next()?.as_bytes().try_into().ok()?,
        // -1: the stream selects one anew.
        db: usize::try_from(words.next()?.parse::<i64>().ok()?).unwrap_or(0),
        client: words.next()?.parse::<u64>().ok()?.to_string(),
    };
    words.next().is_none().then_some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_snapshot_is_read_whole_or_not_at_all() {
        let id = "0123456789012345678901234567890123456789";
        let end = parse_end_offset(&format!("$ENDOFF:17 {id} 3 42")).unwrap();
        assert_eq!((end.offset, end.db, end.client.as_str()), (17, 3, "42"));
        assert_eq!(parse_end_offset(&format!("$ENDOFF:17 {id} -1 42")).map(|end| end.db), Some(0));
        for wrong in [format!("$ENDOFF:17 {id} 3"), format!("$ENDOFF:-1 {id} 3 4"), "$ENDOFF:17 abc 0 1".to_owned()] {
            assert_eq!(parse_end_offset(&wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_kept_comes_out_in_order_and_is_counted() {
        let mut kept = Kept::default();
        for i in 0..(3 * PIECE) {
            kept.room().push(i as u8);
        }
        assert_eq!(kept.bytes(), 3 * PIECE);
        let mut all = Vec::new();
        while let Some(piece) = kept.pop() {
            all.extend(piece);
        }
        assert_eq!((all.len(), kept.bytes()), (3 * PIECE, 0));
        assert!(all.iter().enumerate().all(|(i, b)| *b == i as u8));
    }
}
