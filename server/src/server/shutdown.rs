//! Ending: by signal or SHUTDOWN, waiting for replicas, saving.

use super::Server;
use super::pause::{Reason, Scope};
use crate::client::ClientId;
use crate::config::ShutdownOptions;
use crate::persistence::aof::State;
use crate::{log_notice, log_warning};

/// A shutdown that waits for replicas to catch up.
#[derive(Debug)]
pub struct Shutdown {
    /// How to end.
    pub options: ShutdownOptions,
    /// Unix time in ms at which it waits no longer.
    pub deadline: i64,
    /// Who asked with SHUTDOWN and gets an error if it fails.
    pub clients: Vec<ClientId>,
}

impl Server {
    /// What the signal handlers' pipe says.
    pub fn handle_signals(&mut self) {
        for signal in self.signals.take() {
            match signal {
                libc::SIGCHLD => self.reap_children(),
                libc::SIGTERM | libc::SIGINT => {
                    let name = if signal == libc::SIGTERM { "SIGTERM" } else { "SIGINT" };
                    let options = if signal == libc::SIGTERM {
                        self.config.shutdown_on_sigterm
                    } else {
                        self.config.shutdown_on_sigint
                    };
                    if self.shutdown.is_some() {
                        log_warning!("You insist... exiting now.");
                        self.exit = Some(1);
                        return;
                    }
                    log_warning!("Received {name} scheduling shutdown...");
                    if self.debug.pause_cron {
                        self.shutdown_wanted = Some(options);
                    } else {
                        self.begin_shutdown(options, None);
                    }
                }
                _ => {}
            }
        }
    }

    /// Begins a shutdown; where nothing is to be waited for it also ends it. False when it failed at once.
    pub fn begin_shutdown(&mut self, options: ShutdownOptions, client: Option<ClientId>) -> bool {
        let now = self.now_ms();
        if let Some(s) = &mut self.shutdown {
            s.clients.extend(client);
            return true;
        }
        let timeout = i64::from(self.config.shutdown_timeout) * 1000;
        let wait = !options.has(ShutdownOptions::NOW) && timeout > 0 && self.is_primary() && self.replicas_behind() > 0;
        let shutdown = Shutdown { options, deadline: now + timeout, clients: client.into_iter().collect() };
        if !wait {
            return self.finish_shutdown(shutdown);
        }
        self.pause(Reason::Shutdown, Scope::Writes, i64::MAX);
        self.repl.ask_for_acks = true;
        log_notice!("Waiting for replicas before shutting down.");
        self.shutdown = Some(shutdown);
        true
    }

    /// Replicas that have not acknowledged everything.
    fn replicas_behind(&self) -> usize {
        let offset = self.repl.offset();
        self.repl.online(&self.clients).filter(|r| r.ack_offset < offset).count()
    }

    /// Ends a waiting shutdown when the replicas have caught up or its time is over, and takes up the one that a signal
    /// asked for too early. Once a turn.
    pub fn finish_shutdown_if_ready(&mut self) {
        if !self.writes_initial_aof()
            && !self.debug.pause_cron
            && let Some(options) = self.shutdown_wanted.take()
            && self.shutdown.is_none()
        {
            self.begin_shutdown(options, None);
        }
        let ready = self.shutdown.as_ref().is_some_and(|s| self.now_ms() >= s.deadline || self.replicas_behind() == 0);
        if ready && let Some(shutdown) = self.shutdown.take() {
            self.unpause(Reason::Shutdown);
            self.finish_shutdown(shutdown);
        }
    }

    /// SHUTDOWN ABORT; false when none was under way.
    pub fn abort_shutdown(&mut self) -> bool {
        let wanted = self.shutdown_wanted.take().is_some();
        let under_way = self.shutdown.take();
        if !wanted && under_way.is_none() {
            return false;
        }
        log_notice!("Shutdown manually aborted.");
        if let Some(shutdown) = under_way {
            self.unpause(Reason::Shutdown);
            self.refuse_shutdown(&shutdown);
        }
        true
    }

    /// Whether the append-only file is not complete yet: without it the data would be gone.
    fn writes_initial_aof(&self) -> bool {
        self.persistence.aof.state == State::FirstRewrite
    }

    fn fail_shutdown(&mut self, shutdown: &Shutdown) -> bool {
        log_warning!("Errors trying to shut down the server. Check the logs for more information.");
        self.refuse_shutdown(shutdown);
        false
    }

    fn refuse_shutdown(&mut self, shutdown: &Shutdown) {
        for id in &shutdown.clients {
            if let Some(slot) = self.clients.slot_of(*id)
                && let Some(mut client) = self.clients.take(slot)
            {
                client.reply.error(b"ERR Errors trying to SHUTDOWN. Check logs.");
                self.unblock(&mut client);
                self.clients.put_back(client);
            }
        }
    }

    fn finish_shutdown(&mut self, shutdown: Shutdown) -> bool {
        let options = shutdown.options;
        log_warning!("User requested shutdown...");
        let (mut total, mut in_sync) = (0, 0);
        let offset = self.repl.offset();
        for r in self.repl.online(&self.clients) {
            total += 1;
            if r.ack_offset == offset {
                in_sync += 1;
            } else {
                log_notice!(
                    "Lagging replica {}:{} reported offset {} behind master",
                    String::from_utf8_lossy(&r.announced_ip),
                    r.port,
                    offset - r.ack_offset.min(offset)
                );
            }
        }
        if total > 0 {
            log_notice!("{in_sync} of {total} replicas are in sync when shutting down.");
        }
        let force = options.has(ShutdownOptions::FORCE);
        if self.writes_initial_aof() && !force {
            log_warning!("Writing initial AOF, can't exit.");
            // Who sent a signal is not told, and may not ask again before the kill: obeyed when the file is complete.
            self.shutdown_wanted = shutdown.clients.is_empty().then_some(options);
            return self.fail_shutdown(&shutdown);
        }
        self.persistence.kill_child();
        if let Some(child) = &self.persistence.child {
            self.remove_unfinished_snapshot(child.pid);
        }
        if let Err(why) = self.close_aof_for_shutdown() {
            log_warning!("{why}");
            if !force {
                return self.fail_shutdown(&shutdown);
            }
        }
        // Half a data set must never take the place of the file that it is being read from, whoever asks for it.
        let whole = self.loading.progress.is_none();
        let wanted = options.has(ShutdownOptions::SAVE)
            || (!self.config.save.is_empty() && !options.has(ShutdownOptions::NOSAVE));
        let save = whole && wanted;
        if save {
            log_notice!("Saving the final RDB snapshot before exiting.");
            let unfinished = self.unfinished_snapshot(std::process::id() as i32);
            let saved = crate::sys::interruptible(&unfinished, || self.save_now());
            if saved.is_err() {
                log_warning!("Error trying to save the DB, can't exit.");
                if !force {
                    return self.fail_shutdown(&shutdown);
                }
            }
        }
        if !self.config.pidfile.is_empty() {
            log_notice!("Removing the pid file.");
            let _ = std::fs::remove_file(crate::persistence::snapshot::path_of(&self.config.pidfile));
        }
        // Before any client sees its connection end: whoever connects then is refused, not cut off.
        for listener in self.listeners.drain(..) {
            listener.unlink();
        }
        // Replicas get what is left for them: the last writes were acknowledged to clients.
        self.serve_replicas();
        self.flush_output();
        crate::supervisor::tell("STOPPING=1\n");
        log_warning!("Valkey is now ready to exit, bye bye...");
        self.exit = Some(0);
        true
    }
}
