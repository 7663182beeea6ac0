//! From executed commands to the stream: one encoding for the replicas and the append-only file.

use crate::resp::Argv;
use crate::resp::argv::encode_command;
use crate::server::Server;
use crate::server::propagation::{Op, Targets};

impl Server {
    /// Whether anybody wants to know of writes: replicas (now or by partial sync later) or the append-only file.
    pub fn wants_propagation(&self) -> bool {
        self.repl.buffer.is_some() || self.persistence.aof.is_on()
    }

    /// Sends the operations of the outermost call, as one transaction where they are several.
    ///
    /// `streamed`: they came from our primary, whose bytes reach the stream as they are, without being encoded again.
    pub fn propagate_ops(&mut self, streamed: bool) {
        let ops = std::mem::take(&mut self.propagation.ops);
        if streamed || (!self.is_primary()) {
            // A writable replica's own writes are its own business, as in Valkey.
            return self.log_own_ops(&ops, streamed);
        }
        if ops.iter().any(|op| op.targets != Targets::ALL) {
            return self.propagate_selectively(&ops);
        }
        let transaction = ops.len() > 1;
        let mut bytes = Vec::with_capacity(64);
        if transaction {
            bytes.extend_from_slice(b"*1\r\n$5\r\nMULTI\r\n");
        }
        for op in &ops {
            self.encode_op(&mut bytes, op.db, op.argv.argv());
        }
        if transaction {
            bytes.extend_from_slice(b"*1\r\n$4\r\nEXEC\r\n");
        }
        self.feed_bytes(&bytes);
    }

    /// Sends operations of which a script said who gets them. The file parts from the stream with them.
    fn propagate_selectively(&mut self, ops: &[Op]) {
        let encode = |server: &mut Server, chosen: &[&Op]| {
            let mut bytes = Vec::new();
            if chosen.len() > 1 {
                bytes.extend_from_slice(b"*1\r\n$5\r\nMULTI\r\n");
            }
            for op in chosen {
                server.encode_op(&mut bytes, op.db, op.argv.argv());
            }
            if chosen.len() > 1 {
                bytes.extend_from_slice(b"*1\r\n$4\r\nEXEC\r\n");
            }
            bytes
        };
        let to_replicas: Vec<&Op> = ops.iter().filter(|op| op.targets.replicas).collect();
        let bytes = encode(self, &to_replicas);
        self.feed_stream(&bytes);
        self.repl.data_offset = self.repl.history.offset;
        if self.persistence.aof.is_on() {
            self.repl.stream_db = None;
            let to_file: Vec<&Op> = ops.iter().filter(|op| op.targets.aof).collect();
            let bytes = encode(self, &to_file);
            self.persistence.aof.append_foreign(&bytes);
            self.repl.stream_db = None;
        }
    }

    /// Whom the script under way, if one is, wants to get what it writes.
    pub fn propagation_targets(&self) -> Targets {
        self.scripting.running.as_ref().map_or(Targets::ALL, |running| running.targets)
    }

    /// Sends the operations of the outermost call each by itself: deletions of keys that have nothing to do with each other.
    pub fn propagate_apart(&mut self, streamed: bool) {
        for op in std::mem::take(&mut self.propagation.ops) {
            self.propagation.ops.push(op);
            self.propagate_ops(streamed);
        }
    }

    /// Sends one command, as the client's bytes where they can be forwarded. The hot path of a write.
    pub fn propagate_one(&mut self, db: usize, argv: Argv<'_>) {
        match argv.raw() {
            Some(raw) if self.repl.stream_db == Some(db) => self.feed_bytes(raw),
            _ => {
                let mut bytes = Vec::with_capacity(64);
                self.encode_op(&mut bytes, db, argv);
                self.feed_bytes(&bytes);
            }
        }
    }

    fn encode_op(&mut self, bytes: &mut Vec<u8>, db: usize, argv: Argv<'_>) {
        self.select_in(bytes, db);
        match argv.raw() {
            Some(raw) => bytes.extend_from_slice(raw),
            None => encode_command(bytes, argv.iter().collect::<Vec<_>>()),
        }
    }

    fn select_in(&mut self, bytes: &mut Vec<u8>, db: usize) {
        if self.repl.stream_db != Some(db) {
            let number = db.to_string();
            encode_command(bytes, [&b"SELECT"[..], number.as_bytes()]);
            self.repl.stream_db = Some(db);
            self.persistence.aof.selected.note(db);
        }
    }

    /// Appends bytes to the stream and to the append-only file. On a replica they are its primary's own bytes.
    pub fn feed_bytes(&mut self, bytes: &[u8]) {
        self.feed_stream(bytes);
        self.repl.data_offset = self.repl.history.offset;
        self.persistence.aof.append(bytes, &self.repl.history);
    }

    /// Appends bytes that only replicas need: PING, REPLCONF GETACK.
    pub fn feed_stream(&mut self, bytes: &[u8]) {
        if let Some(buffer) = &mut self.repl.buffer {
            buffer.append(bytes);
            self.repl.history.offset += bytes.len() as u64;
        }
        self.repl.quorum.note_written(self.repl.history.offset);
    }

    /// Puts a PING into the stream, so that replicas know the primary lives.
    pub fn feed_ping(&mut self) {
        self.feed_stream(b"*1\r\n$4\r\nPING\r\n");
    }

    /// Asks the replicas for their offsets at once. The request itself is part of the stream.
    pub fn feed_getack(&mut self) {
        self.feed_stream(b"*3\r\n$8\r\nREPLCONF\r\n$6\r\nGETACK\r\n$1\r\n*\r\n");
    }

    /// Logs what a replica executed: the primary's commands are logged with the raw stream, its own are encoded.
    fn log_own_ops(&mut self, ops: &[Op], streamed: bool) {
        if !streamed {
            self.note_own_keys(ops);
        }
        if streamed || !self.persistence.aof.is_on() {
            return;
        }
        for op in ops {
            let mut bytes = Vec::new();
            // The file's own order of databases is the stream's; a foreign write needs its SELECT and one after it.
            self.repl.stream_db = None;
            self.encode_op(&mut bytes, op.db, op.argv.argv());
            self.persistence.aof.append_foreign(&bytes);
            self.repl.stream_db = None;
        }
    }
}
