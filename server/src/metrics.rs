//! `metrics-port`: Prometheus text, `/healthz` and `/readyz`, from the server itself.

use std::io::ErrorKind;

use crate::net::{Interest, Stream, Token};
use crate::server::Server;

/// A request's head may have so many bytes; a client may take so long.
const HEAD_MAX: usize = 8 * 1024;
const PATIENCE_MS: i64 = 10_000;
const CONNECTIONS: usize = 64;

/// Open HTTP connections.
#[derive(Debug, Default)]
pub struct Http(Vec<Option<Connection>>);

#[derive(Debug)]
struct Connection {
    stream: Stream,
    input: Vec<u8>,
    output: Vec<u8>,
    since_ms: i64,
}

impl Server {
    /// Takes a new HTTP connection; beyond the limit it is closed at once.
    pub fn accept_http(&mut self, stream: Stream) {
        let free = self.http.0.iter().position(Option::is_none);
        let slot = match free {
            Some(slot) => slot,
            None if self.http.0.len() < CONNECTIONS => {
                self.http.0.push(None);
                self.http.0.len() - 1
            }
            None => return,
        };
        if self.poll.add(&stream, Token::Metrics(slot as u32), Interest::Read).is_ok() {
            self.http.0[slot] =
                Some(Connection { stream, input: Vec::new(), output: Vec::new(), since_ms: self.now_ms() });
        }
    }

    /// An HTTP connection is ready.
    pub fn http_ready(&mut self, slot: u32) {
        let Some(mut c) = self.http.0.get_mut(slot as usize).and_then(Option::take) else { return };
        if self.advance_http(&mut c, slot) {
            self.http.0[slot as usize] = Some(c);
        } else {
            self.poll.remove(&c.stream);
        }
    }

    /// Reads or writes; false when the connection is done.
    fn advance_http(&self, c: &mut Connection, slot: u32) -> bool {
        if c.output.is_empty() {
            c.input.reserve(1024);
            match c.stream.read_into(&mut c.input, 1024) {
                Ok(0) => return false,
                Ok(_) => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => return true,
                Err(_) => return false,
            }
            if memchr::memmem::find(&c.input, b"\r\n\r\n").is_none() {
                return c.input.len() < HEAD_MAX;
            }
            c.output = self.answer(&c.input);
        }
        loop {
            match c.stream.write(&c.output) {
                Ok(n) => {
                    c.output.drain(..n);
                    if c.output.is_empty() {
                        return false;
                    }
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    return self.poll.modify(&c.stream, Token::Metrics(slot), Interest::Write).is_ok();
                }
                Err(_) => return false,
            }
        }
    }

    /// Closes connections that take too long.
    pub fn http_cron(&mut self, now: i64) {
        for slot in &mut self.http.0 {
            if let Some(c) = slot
                && now - c.since_ms > PATIENCE_MS
            {
                self.poll.remove(&c.stream);
                *slot = None;
            }
        }
    }

    fn answer(&self, head: &[u8]) -> Vec<u8> {
        let line = head.split(|c| *c == b'\r').next().unwrap_or_default();
        let mut words = line.split(|c| *c == b' ');
        let method = words.next().unwrap_or_default();
        let path = words.next().unwrap_or_default();
        if method != b"GET" && method != b"HEAD" {
            return response("405 Method Not Allowed", "text/plain", "only GET\n");
        }
        match path.split(|c| *c == b'?').next().unwrap_or_default() {
            b"/metrics" => response("200 OK", "text/plain; version=0.0.4", &self.metrics_text()),
            // Alive: the loop turns, or there would be no answer. Loading is life too.
            b"/healthz" => response("200 OK", "text/plain", "ok\n"),
            b"/readyz" => match self.not_ready() {
                None => response("200 OK", "text/plain", "ok\n"),
                Some(why) => response("503 Service Unavailable", "text/plain", &format!("{why}\n")),
            },
            _ => response("404 Not Found", "text/plain", "try /metrics, /healthz or /readyz\n"),
        }
    }

    /// Why this instance should get no traffic; `None`: it may.
    pub fn not_ready(&self) -> Option<&'static str> {
        if self.loading.progress.is_some() {
            Some("loading the data set")
        } else if self.repl.link.as_ref().is_some_and(|l| !l.is_up()) {
            Some("not connected to a primary")
        } else if !self.repl.quorum.whole {
            Some("the data set is not whole")
        } else {
            None
        }
    }

    /// Prometheus' text format.
    fn metrics_text(&self) -> String {
        let mut out = String::with_capacity(4096);
        let s = &self.stats;
        let (keys, expires) = self.key_counts();
        let ks = self.keyspace.stats();
        let up = self.repl.link.as_ref().is_none_or(|l| l.is_up());
        let uptime = (self.now_ms() - self.start_ms) / 1000;
        let mut put = |name: &str, kind: &str, help: &str, value: u64| {
            out.push_str(&format!("# HELP valkey_{name} {help}\n# TYPE valkey_{name} {kind}\nvalkey_{name} {value}\n"));
        };
        put("up", "gauge", "The server answers.", 1);
        put("uptime_seconds", "gauge", "Seconds since the start.", uptime as u64);
        put("role_primary", "gauge", "1 for a primary, 0 for a replica.", u64::from(self.is_primary()));
        put("ready", "gauge", "1 when the instance may get traffic.", u64::from(self.not_ready().is_none()));
        put("connected_clients", "gauge", "Client connections, without replicas.", self.ordinary_clients() as u64);
        put("connected_replicas", "gauge", "Replicas.", self.repl.replicas.len() as u64);
        put("primary_link_up", "gauge", "1 unless this is a replica without its primary.", u64::from(up));
        put("replication_offset_bytes", "counter", "Bytes of the replication stream.", self.repl.offset());
        let history = self.repl.buffer.as_ref().map_or(0, |b| b.history_len());
        put("replication_backlog_bytes", "gauge", "Bytes kept for partial syncs.", history);
        put("memory_used_bytes", "gauge", "Bytes allocated.", crate::memory::used());
        put("memory_max_bytes", "gauge", "maxmemory; 0 for no limit.", self.config.maxmemory);
        put("keys", "gauge", "Keys in all databases.", keys as u64);
        put("expiring_keys", "gauge", "Keys with an expiry.", expires as u64);
        put("commands_processed_total", "counter", "Commands executed.", s.commands_processed);
        put("connections_received_total", "counter", "Connections accepted.", s.connections_received);
        put("rejected_connections_total", "counter", "Connections refused.", s.rejected_connections);
        put("error_replies_total", "counter", "Error replies.", s.error_replies);
        put("net_input_bytes_total", "counter", "Bytes read from clients.", s.bytes_in);
        put("net_output_bytes_total", "counter", "Bytes written to clients.", s.bytes_out);
        put("expired_keys_total", "counter", "Keys that expired.", ks.expired);
        put("evicted_keys_total", "counter", "Keys evicted.", ks.evicted);
        put("keyspace_hits_total", "counter", "Look-ups that found a key.", ks.hits);
        put("keyspace_misses_total", "counter", "Look-ups that found none.", ks.misses);
        put("sync_full_total", "counter", "Full syncs served.", s.sync_full);
        put("sync_partial_ok_total", "counter", "Partial syncs served.", s.sync_partial_ok);
        put("sync_partial_err_total", "counter", "Partial syncs refused.", s.sync_partial_err);
        put("rdb_changes_since_last_save", "gauge", "Changes since the last snapshot.", self.changes_since_save());
        put("rdb_last_save_ok", "gauge", "1 if the last snapshot succeeded.", u64::from(self.persistence.rdb.last_ok));
        put(
            "rdb_last_save_timestamp_seconds",
            "gauge",
            "Unix time of the last snapshot.",
            self.persistence.rdb.last_save as u64,
        );
        put("aof_enabled", "gauge", "1 when the append-only file is on.", u64::from(self.persistence.aof.is_on()));
        if self.config.primary_quorum_timeout > 0 {
            let held = self.repl.quorum.has_quorum(self.config.primary_quorum_timeout);
            put("quorum_held", "gauge", "1 while this primary's lease holds.", u64::from(self.is_primary() && held));
            put("epoch", "gauge", "The epoch of this primary.", self.repl.quorum.epoch);
        }
        for id in &self.repl.replicas {
            let Some(client) = self.clients.by_id(*id) else { continue };
            let Some(r) = &client.replica else { continue };
            let name = crate::replication::primary::replica_name(client).replace(['"', '\\', '\n'], "_");
            let behind = self.repl.offset().saturating_sub(r.ack_offset);
            out.push_str(&format!("valkey_replica_lag_bytes{{replica=\"{name}\"}} {behind}\n"));
        }
        out
    }

    /// Keys, and keys with an expiry, in all databases.
    pub fn key_counts(&self) -> (usize, usize) {
        let dbs = self.keyspace.dbs();
        (self.keyspace.total_keys(), dbs.iter().map(|db| db.expires_len()).sum())
    }

    /// Clients that are neither replicas nor our primary.
    pub fn ordinary_clients(&self) -> usize {
        self.clients.iter().filter(|c| !c.is_replica() && !c.is_primary() && c.stream.is_some()).count()
    }
}

fn response(status: &str, content_type: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
