//! The replication stream, once: a list of blocks that is at the same time the backlog and every replica's output.
//!
//! A replica is a cursor (an offset) into it, and so is the backlog's beginning. Nothing is copied for a replica, and
//! a block lives as long as the backlog or some replica's cursor needs it.

use std::collections::VecDeque;

/// Smallest size of a block in bytes.
const BLOCK_MIN: usize = 16 * 1024;

#[derive(Debug)]
struct Block {
    /// Stream offset of the first byte: the count of bytes before it.
    start: u64,
    bytes: Vec<u8>,
}

/// The shared replication buffer. Offsets count bytes of the stream; the byte at offset `n` is the one after the first
/// `n` bytes.
#[derive(Debug)]
pub struct ReplBuffer {
    blocks: VecDeque<Block>,
    /// Bytes of the stream so far.
    end: u64,
    /// `repl-backlog-size`: what is kept for partial resynchronisations.
    size: u64,
    /// Where the history begins: the offset at which this buffer was created.
    origin: u64,
}

impl ReplBuffer {
    /// An empty buffer whose first byte will have stream offset `offset`, keeping `size` bytes of history.
    pub fn new(offset: u64, size: u64) -> Self {
        // The first block is there from the beginning, so that what the stream takes shows before anybody computes a limit from it.
        let first = Block { start: offset, bytes: Vec::with_capacity(BLOCK_MIN) };
        ReplBuffer { blocks: VecDeque::from([first]), end: offset, size, origin: offset }
    }

    /// Appends to the stream.
    pub fn append(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = self.blocks.back().map_or(0, |b| b.bytes.capacity() - b.bytes.len());
            if room == 0 {
                let size = (self.size as usize / 16).max(BLOCK_MIN).min(bytes.len().max(BLOCK_MIN));
                self.blocks.push_back(Block { start: self.end, bytes: Vec::with_capacity(size) });
                continue;
            }
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            if let Some(block) = self.blocks.back_mut() {
                block.bytes.extend_from_slice(now);
            }
            self.end += now.len() as u64;
            bytes = later;
        }
    }

    /// Offset of the stream's end: bytes so far.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Offset of the first byte of the history that a partial resynchronisation may ask for: all that is held, whether for the
    /// backlog's size or for a replica that is behind.
    pub fn history_start(&self) -> u64 {
        self.blocks.front().map_or(self.end, |b| b.start).max(self.origin)
    }

    /// Bytes of history.
    pub fn history_len(&self) -> u64 {
        self.end - self.history_start()
    }

    /// Whether a stream continued at `offset` could be served.
    pub fn contains(&self, offset: u64) -> bool {
        (self.history_start()..=self.end).contains(&offset)
    }

    /// The bytes from `offset` to the end of the block it stands in; empty at the end of the stream, and where the
    /// offset is not held (any more).
    pub fn read(&self, offset: u64) -> &[u8] {
        let i = self.blocks.partition_point(|b| b.start <= offset);
        let Some(block) = i.checked_sub(1).and_then(|i| self.blocks.get(i)) else { return &[] };
        block.bytes.get((offset - block.start) as usize..).unwrap_or(&[])
    }

    /// Drops blocks that neither the backlog nor a cursor at `oldest_cursor` (the least advanced) needs.
    pub fn trim(&mut self, oldest_cursor: Option<u64>) {
        let keep = self.end.saturating_sub(self.size).min(oldest_cursor.unwrap_or(u64::MAX));
        // The last block stays: it is being filled.
        while self.blocks.len() > 1 && self.blocks.get(1).is_some_and(|next| next.start <= keep) {
            self.blocks.pop_front();
        }
    }

    /// Drops the end of the stream from `offset` on and gives it back; none when so much is not held.
    pub fn truncate(&mut self, offset: u64) -> Option<Vec<u8>> {
        if !self.contains(offset) {
            return None;
        }
        let dropped = self.copy(offset);
        while let Some(block) = self.blocks.back_mut() {
            if block.start < offset {
                block.bytes.truncate((offset - block.start) as usize);
                break;
            }
            self.blocks.pop_back();
        }
        self.end = offset;
        Some(dropped)
    }

    /// The stream from `offset` to its end.
    pub fn copy(&self, mut offset: u64) -> Vec<u8> {
        let mut out = Vec::new();
        loop {
            let piece = self.read(offset);
            if piece.is_empty() {
                return out;
            }
            out.extend_from_slice(piece);
            offset += piece.len() as u64;
        }
    }

    /// Changes `repl-backlog-size`. What is already held beyond it goes with the next [`trim`](Self::trim).
    pub fn resize(&mut self, size: u64) {
        self.size = size;
    }

    /// `repl-backlog-size` in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Bytes allocated.
    pub fn memory(&self) -> usize {
        let list = self.blocks.capacity() * size_of::<Block>();
        list + self.blocks.iter().map(|b| b.bytes.capacity()).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(b: &ReplBuffer, mut from: u64) -> Vec<u8> {
        let mut out = Vec::new();
        loop {
            let piece = b.read(from);
            if piece.is_empty() {
                return out;
            }
            out.extend_from_slice(piece);
            from += piece.len() as u64;
        }
    }

    #[test]
    fn every_cursor_reads_the_same_stream() {
        let mut b = ReplBuffer::new(1000, 64 * 1024);
        let stream: Vec<u8> = (0..200_000u32).map(|i| i as u8).collect();
        for piece in stream.chunks(777) {
            b.append(piece);
        }
        assert_eq!(b.end(), 1000 + 200_000);
        assert_eq!(read_all(&b, 1000), stream);
        assert_eq!(read_all(&b, 1000 + 123_456), &stream[123_456..]);
        assert_eq!(read_all(&b, b.end()), b"");
    }

    #[test]
    fn a_slow_replica_keeps_its_bytes_and_the_backlog_keeps_its_size() {
        let mut b = ReplBuffer::new(0, 64 * 1024);
        let stream = vec![7u8; 500_000];
        for piece in stream.chunks(1000) {
            b.append(piece);
            b.trim(Some(100_000));
        }
        assert_eq!(read_all(&b, 100_000).len(), 400_000);
        b.trim(None);
        assert_eq!(b.history_start(), b.blocks[0].start);
        assert!(b.memory() < 200_000);
        assert!(b.history_len() <= 64 * 1024 + BLOCK_MIN as u64);
        assert!(b.contains(b.end()) && b.contains(b.history_start()) && !b.contains(b.history_start() - 1));
        assert!(!b.contains(b.end() + 1));
    }

    #[test]
    fn the_end_of_the_stream_can_be_taken_back() {
        let mut b = ReplBuffer::new(100, 1 << 20);
        b.append(&[1; 40_000]);
        b.append(b"PING");
        assert_eq!(b.truncate(40_100).as_deref(), Some(&b"PING"[..]));
        assert!(b.truncate(99).is_none() && b.truncate(50_000).is_none());
        b.append(b"other");
        assert_eq!(read_all(&b, 40_098), b"\x01\x01other");
        assert!(b.truncate(100).is_some());
        assert_eq!((b.end(), b.history_len()), (100, 0));
    }

    #[test]
    fn history_does_not_reach_before_the_buffer_was_made() {
        let mut b = ReplBuffer::new(500, 1 << 20);
        assert_eq!((b.history_start(), b.history_len()), (500, 0));
        assert!(b.contains(500) && !b.contains(499));
        b.append(b"abc");
        assert_eq!((b.history_start(), b.history_len()), (500, 3));
    }
}
