//! What follows from a changed configuration: the owners of directives take note.

use super::Server;
use super::commandlog::{Kind as LogKind, Rule};
use super::reserve::files_beside_clients;
use crate::config::{Config, Effect};
use crate::data::limits::Limits;
use crate::keyspace::{Keyspace, LazyFree};
use crate::net::listener::{Kind, Listener};

impl Server {
    /// Tells all owners what the configuration says; once, at start.
    pub fn apply_all_config(&mut self) {
        for effect in [Effect::Keyspace, Effect::CommandLog] {
            // These have no way to fail.
            let _ = self.apply(effect);
        }
    }

    /// Carries out what follows from a change.
    ///
    /// # Errors
    /// Why the owner could not: the change is then taken back.
    pub fn apply(&mut self, effect: Effect) -> Result<(), String> {
        match effect {
            Effect::Keyspace => configure_keyspace(&mut self.keyspace, &self.config),
            Effect::CommandLog => self.apply_commandlog(),
            Effect::CrashLog => crate::crash::configure(self.config.crash_log_enabled, self.config.use_exit_on_panic),
            Effect::Log => {
                crate::log::set_level(self.config.loglevel);
                crate::log::set_format(self.config.log_format, self.config.log_timestamp_format);
            }
            Effect::Backlog => {
                if let Some(buffer) = &mut self.repl.buffer {
                    buffer.resize(self.config.repl_backlog_size);
                }
            }
            Effect::Clients => {
                let beside = files_beside_clients(&self.config);
                let wanted = u64::from(self.config.maxclients) + beside;
                let got = crate::sys::raise_file_limit(wanted);
                if got < wanted {
                    return Err(format!(
                        "The operating system is not able to handle the specified number of clients, try with {}",
                        got.saturating_sub(beside)
                    ));
                }
            }
            Effect::Locale if !crate::collation::set_locale(&self.config.locale_collate) => {
                return Err("Invalid locale name".to_owned());
            }
            Effect::Directory => std::env::set_current_dir(crate::persistence::snapshot::data_dir(&self.config))
                .map_err(|e| crate::config::os_text(&e))?,
            // Connections stay logged in, as in Valkey.
            Effect::Password => self.acl.set_default_password(&self.config.requirepass),
            Effect::ProcTitle => self.show_title(None),
            Effect::OomScore => self.apply_oom_score()?,
            Effect::OutputLimits => {
                for slot in self.clients.iter().map(|client| client.slot).collect::<Vec<_>>() {
                    let Some(mut client) = self.clients.take(slot) else { continue };
                    self.limit_output(&mut client);
                    self.clients.put_back_quietly(client);
                }
            }
            Effect::Tls => self.configure_tls()?,
            Effect::Bind => self.listen_anew().map_err(|_| "Failed to bind to specified addresses.".to_owned())?,
            Effect::Listen => {
                self.configure_tls()?;
                // The log has the details.
                self.listen_anew().map_err(|_| "Unable to listen on this port. Check server logs.".to_owned())?;
            }
            Effect::AppendOnly => self.apply_appendonly()?,
            Effect::AofHistory => self.remove_aof_history()?,
            // Each key that goes is a write of its own, not a part of this command or of its transaction, which may pause writes.
            Effect::Eviction => self.eviction.due = true,
            // The scripts are compiled anew when they are called; functions keep what they were loaded with.
            Effect::Interpreters => {
                let retired = self.scripting.flush_scripts();
                self.free_retired(retired, true);
            }
            Effect::SyncReplication => self.note_acknowledgement(),
            Effect::Quorum => {
                // There may be places for clients beyond `maxclients` now.
                crate::sys::raise_file_limit(u64::from(self.config.maxclients) + files_beside_clients(&self.config));
                self.note_acknowledgement();
            }
            // Read where they are used, or without an effect in this server (which the start says).
            _ => {}
        }
        Ok(())
    }

    fn apply_commandlog(&mut self) {
        let c = &self.config;
        for (kind, threshold, max_len) in [
            (LogKind::Slow, c.commandlog_execution_slower_than, c.commandlog_slow_execution_max_len),
            (LogKind::LargeRequest, c.commandlog_request_larger_than, c.commandlog_large_request_max_len),
            (LogKind::LargeReply, c.commandlog_reply_larger_than, c.commandlog_large_reply_max_len),
        ] {
            self.commandlog.set_rule(kind, Rule { threshold, max_len });
        }
    }

    /// Listens on the addresses and the ports of the configuration instead of those of before. What is in both stays open.
    fn listen_anew(&mut self) -> Result<(), String> {
        let ports = [
            (self.config.port, Kind::Tcp),
            (self.config.tls_port, Kind::Tls),
            (self.config.metrics_port, Kind::Metrics),
        ];
        let is_bound = |address: &str| {
            let bound = self.config.bind.iter().map(|bound| bound.strip_prefix(b"-").unwrap_or(bound));
            bound.into_iter().any(|bound| bound == address.as_bytes())
        };
        let is_wanted = |l: &Listener| match l.kind {
            Kind::Tcp | Kind::Tls | Kind::Metrics => ports.contains(&(l.place.1, l.kind)) && is_bound(&l.place.0),
            Kind::Unix => true,
        };
        // Their numbers change.
        self.listeners.iter().for_each(|listener| self.poll.remove(listener));
        let (kept, closed): (Vec<_>, Vec<_>) = std::mem::take(&mut self.listeners).into_iter().partition(is_wanted);
        // Others may need the same port.
        drop(closed);
        self.watch_listeners(kept)?;
        for (port, kind) in ports.into_iter().filter(|(port, _)| *port != 0) {
            let opened = self.open_tcp(port, kind)?;
            self.watch_listeners(opened)?;
        }
        Ok(())
    }
}

/// Tells the keyspace what the configuration says about keys, expiry, eviction, encodings and notifications.
pub fn configure_keyspace(keyspace: &mut Keyspace, c: &Config) {
    keyspace.set_notify(c.notify_keyspace_events);
    keyspace.set_policy(c.maxmemory_policy, c.lfu_log_factor, c.lfu_decay_time);
    keyspace.set_prefetch_batch(c.prefetch_batch_max_size);
    keyspace.set_lazy_free(LazyFree {
        expire: c.lazyfree_lazy_expire,
        eviction: c.lazyfree_lazy_eviction,
        server_del: c.lazyfree_lazy_server_del,
    });
    keyspace.set_limits(Limits {
        list_max_listpack_size: c.list_max_listpack_size,
        hash_max_listpack_entries: c.hash_max_listpack_entries,
        hash_max_listpack_value: c.hash_max_listpack_value,
        set_max_intset_entries: c.set_max_intset_entries,
        set_max_listpack_entries: c.set_max_listpack_entries,
        set_max_listpack_value: c.set_max_listpack_value,
        zset_max_listpack_entries: c.zset_max_listpack_entries,
        zset_max_listpack_value: c.zset_max_listpack_value,
        stream_node_max_bytes: c.stream_node_max_bytes,
        stream_node_max_entries: c.stream_node_max_entries,
        // No directive: DEBUG set it.
        quicklist_packed_threshold: keyspace.limits().quicklist_packed_threshold,
    });
}
