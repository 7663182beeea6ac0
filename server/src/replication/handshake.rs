//! What a replica and its primary say to each other before the stream: who we are, what we know, and from where the primary is to go on.

use std::collections::VecDeque;

use super::link::{Asked, Phase};
use crate::log_notice;
use crate::resp::argv::encode_command;
use crate::server::{Server, VALKEY_VERSION};

/// How long our replicas wait for a new primary's first bytes, in ms.
const IDLE_TAIL_MS: i64 = 1000;

impl Server {
    /// Understands a line that the primary answered.
    pub(super) fn link_answered(&mut self, line: &str) -> Result<(), String> {
        let Some(link) = &mut self.repl.link else { return Ok(()) };
        match &mut link.phase {
            Phase::Handshake(due) => {
                match due.pop_front() {
                    Some(Asked::Ping) => {
                        // An old Redis answers "operation not permitted" instead of NOAUTH.
                        let tolerable = ["-NOAUTH", "-NOPERM", "-ERR operation not permitted"];
                        if line.starts_with('-') && !tolerable.iter().any(|t| line.starts_with(t)) {
                            return Err(format!("Error reply to PING from primary: '{line}'"));
                        }
                        log_notice!("Primary replied to PING, replication can continue...");
                        return self.introduce_ourselves();
                    }
                    Some(Asked::Auth) if line.starts_with('-') => {
                        return Err(format!("Unable to AUTH to PRIMARY: {line}"));
                    }
                    Some(Asked::Info(what)) if line.starts_with('-') => {
                        log_notice!("(Non critical) Primary does not understand REPLCONF {what}: {line}");
                    }
                    Some(Asked::RdbChannel) if line.starts_with('-') => {
                        return Err(format!(
                            "Server does not support sync with offset, dual channel sync approach cannot be used: {line}"
                        ));
                    }
                    _ => {}
                }
                if due.is_empty() {
                    self.ask_for_sync();
                }
                Ok(())
            }
            Phase::AwaitPsync => self.psync_answered(line),
            _ => Ok(()),
        }
    }

    /// AUTH and all REPLCONFs in one go.
    fn introduce_ourselves(&mut self) -> Result<(), String> {
        let port = self.announced_port();
        let Some(link) = &mut self.repl.link else { return Ok(()) };
        let mut due = VecDeque::new();
        link.authenticate(&self.config, &mut due);
        link.send([&b"REPLCONF"[..], b"listening-port", port.to_string().as_bytes()]);
        due.push_back(Asked::Info("listening-port"));
        if !self.config.replica_announce_ip.is_empty() {
            link.send([&b"REPLCONF"[..], b"ip-address", &self.config.replica_announce_ip]);
            due.push_back(Asked::Info("ip-address"));
        }
        let mut capabilities: Vec<&[u8]> = vec![b"REPLCONF", b"capa", b"eof", b"capa", b"psync2"];
        if self.config.dual_channel_replication_enabled && !self.config.tls_replication {
            capabilities.extend([&b"capa"[..], b"dual-channel"]);
        }
        link.send(capabilities);
        due.push_back(Asked::Info("capa"));
        link.send([&b"REPLCONF"[..], b"version", VALKEY_VERSION.as_bytes()]);
        due.push_back(Asked::Info("VERSION"));
        link.phase = Phase::Handshake(due);
        Ok(())
    }

    /// The port that the primary is told.
    pub fn announced_port(&self) -> u16 {
        match self.config.replica_announce_port {
            0 if self.config.tls_replication && self.config.tls_port != 0 => self.config.tls_port,
            0 => self.config.port,
            announced => announced,
        }
    }

    fn ask_for_sync(&mut self) {
        let h = &self.repl.history;
        let known = self.repl.buffer.is_some();
        let Some(link) = &mut self.repl.link else { return };
        link.phase = Phase::AwaitPsync;
        if link.old_primary || link.dual_channel {
            return encode_command(&mut link.output, [&b"SYNC"[..]]);
        }
        let (id, offset): (&[u8], String) =
            if known { (&h.id, (h.offset + 1).to_string()) } else { (b"?", "-1".to_owned()) };
        if known {
            log_notice!("Trying a partial resynchronization (request {}:{offset}).", String::from_utf8_lossy(id));
        } else {
            log_notice!("Partial resynchronization not possible (no cached primary)");
        }
        let mut args = vec![&b"PSYNC"[..], id, offset.as_bytes()];
        if link.failover {
            args.push(b"FAILOVER");
        }
        encode_command(&mut link.output, args);
    }

    fn psync_answered(&mut self, line: &str) -> Result<(), String> {
        if self.repl.link.as_ref().is_some_and(|l| l.dual_channel) {
            return self.end_offset_answered(line);
        }
        let mut words = line.split_whitespace();
        let verb = words.next().unwrap_or_default();
        if verb == "+FULLRESYNC" || (self.repl.link.as_ref().is_some_and(|l| l.old_primary) && line.starts_with('$')) {
            let id = words.next().and_then(|w| <[u8; 40]>::try_from(w.as_bytes()).ok());
            // A positive number of 63 bits: what follows can be added to it.
            let offset = words.next().and_then(|w| w.parse::<i64>().ok()).and_then(|offset| u64::try_from(offset).ok());
            self.failover_answered(true);
            return match (id, offset) {
                (Some(id), Some(offset)) => {
                    log_notice!("Full resync from primary: {}:{offset}", String::from_utf8_lossy(&id));
                    self.begin_receiving(Some((id, offset)), None);
                    self.receive_snapshot()
                }
                _ if line.starts_with('$') => {
                    self.begin_receiving(None, Some(line.to_owned()));
                    self.receive_snapshot()
                }
                _ => Err(format!("Primary replied with wrong +FULLRESYNC syntax: {line}")),
            };
        }
        if verb == "+DUALCHANNELSYNC" {
            self.failover_answered(true);
            return self.open_rdb_channel();
        }
        if verb == "+CONTINUE" {
            self.failover_answered(true);
            let id = words.next().and_then(|w| <[u8; 40]>::try_from(w.as_bytes()).ok());
            self.continue_stream(id);
            return Ok(());
        }
        if line.starts_with("-NOMASTERLINK") || line.starts_with("-LOADING") {
            self.failover_answered(false);
            return Err(format!("Primary is currently unable to PSYNC but should be in the future: {line}"));
        }
        if self.failover_answered(false) {
            return Ok(());
        }
        if !line.starts_with("-ERR unknown command") && !line.starts_with("-ERR Unknown") {
            return Err(format!("Unexpected reply to PSYNC from primary: {line}"));
        }
        log_notice!("Retrying with SYNC...");
        if let Some(link) = &mut self.repl.link {
            link.old_primary = true;
        }
        self.ask_for_sync();
        Ok(())
    }

    /// The primary continues the stream where we are.
    fn continue_stream(&mut self, id: Option<super::ReplId>) {
        log_notice!("Successful partial resynchronization with primary.");
        if let Some(id) = id
            && id != self.repl.history.id
        {
            let h = &mut self.repl.history;
            h.id2 = h.id;
            h.id2_end = Some(h.offset);
            h.id = id;
            log_notice!("Primary replication ID changed to {}", String::from_utf8_lossy(&id));
            // Our replicas learn the new id by asking again: at once, or when it is known how far they may go on.
            let deadline = self.now_ms() + IDLE_TAIL_MS;
            match &mut self.repl.idle_tail {
                Some(tail) if !self.repl.replicas.is_empty() => tail.deadline = Some(deadline),
                _ => self.disconnect_replicas(),
            }
        }
        self.create_backlog();
        self.link_up();
    }
}
