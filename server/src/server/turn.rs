//! One turn of the event loop.
//!
//! 1. `before_wait`: what this turn's commands left to do: the append-only file, replicas, replies.
//! 2. Wait for readiness, until the next timer at most.
//! 3. Serve what is ready.
//! 4. `cron`, when due.

use std::time::{Duration, Instant};

use super::Server;
use super::latency::Event;
use crate::bio::Message;
use crate::net::poll::{Event as Readiness, Token};

impl Server {
    /// Runs until a shutdown; returns the exit code.
    pub fn run(&mut self) -> i32 {
        let mut events = Vec::with_capacity(1024);
        loop {
            self.turn(&mut events, Duration::from_secs(1));
            if let Some(code) = self.exit {
                return code;
            }
        }
    }

    /// One turn, waiting for `at_most`.
    pub fn turn(&mut self, events: &mut Vec<Readiness>, at_most: Duration) {
        self.before_wait();
        if self.exit.is_some() {
            return;
        }
        let idle = self.clients.to_read.is_empty() && !self.eviction.due;
        let timeout = if idle { self.next_timer().min(at_most) } else { Duration::ZERO };
        self.stats.turn_ends();
        if let Err(e) = self.poll.wait(timeout, events) {
            crate::log_warning!("Waiting for events: {e}");
        }
        self.stats.turn_begins();
        self.update_clock();
        self.serve_events(events);
        self.resume_input();
        if self.now_ms() >= self.next_cron_ms {
            let began = Instant::now();
            self.cron();
            self.stats.turns.cron_us += began.elapsed().as_micros() as u64;
        }
        self.clients.end_turn();
    }

    /// Serves what is ready: first who can take more, and then who sent something. So nobody gets, straight away, the answer to
    /// what is only executed now: the append-only file comes first, at the end of the turn.
    pub fn serve_events(&mut self, events: &[Readiness]) {
        for event in events {
            if let Token::Client(slot) = event.token
                && event.writable
            {
                self.client_writable(slot);
                if self.repl.transfer.is_some() {
                    self.forward_snapshot();
                    self.end_transfer_if_drained();
                }
            }
        }
        for event in events {
            self.serve_event(*event);
        }
    }

    fn serve_event(&mut self, event: Readiness) {
        match event.token {
            Token::Listener(i) => self.accept(i),
            Token::Client(slot) if event.readable => self.client_readable(slot),
            Token::Client(_) => {}
            Token::Signal => self.handle_signals(),
            Token::Waker => self.take_messages(),
            Token::Child => self.child_reported(),
            Token::Snapshot => {
                self.forward_snapshot();
                self.end_transfer_if_drained();
            }
            Token::PrimaryLink => self.link_ready(event.readable, event.writable),
            Token::MainChannel => self.main_channel_ready(),
            Token::Metrics(slot) => self.http_ready(slot),
        }
    }

    /// Serves clients for an instant, while a script runs: they are answered BUSY, and may have it killed. Time stands still for
    /// the script.
    pub fn serve_while_busy(&mut self) {
        let (now, now_us) = (self.now_ms(), self.clock_us);
        let mut events = Vec::new();
        if self.poll.wait(Duration::ZERO, &mut events).is_ok() {
            self.update_clock();
            events.retain(|e| matches!(e.token, Token::Listener(_) | Token::Client(_) | Token::Metrics(_)));
            self.serve_events(&events);
            // Among those served are some of the turn that the script is part of: what they wrote comes first here, too.
            self.flush_aof();
            if self.exit.is_none() {
                self.flush_output();
                self.close_marked();
            }
        }
        self.clock_us = now_us;
        self.keyspace.set_now_ms(now);
    }

    /// A script that kept the server busy ended: our primary's stream, which had to wait, goes on.
    pub fn busy_script_ended(&mut self) {
        let waiting: Vec<u32> = self.clients.iter().filter(|c| c.is_primary()).map(|c| c.slot).collect();
        for slot in waiting {
            if let Some(mut client) = self.clients.take(slot) {
                self.clients.queue_input(&mut client);
                self.clients.put_back(client);
            }
        }
    }

    /// The last bytes of a snapshot whose child is gone have been taken.
    fn end_transfer_if_drained(&mut self) {
        if self.persistence.transfer_outlives_child && self.transfer_drained() {
            self.finish_socket_transfer(true);
        }
    }

    /// What background threads said.
    fn take_messages(&mut self) {
        for message in self.mailbox.take() {
            match message {
                Message::Fsynced(tag, result) => self.aof_fsynced(tag, result),
                Message::Resolved(attempt, found) => self.primary_resolved(attempt, found),
            }
        }
    }

    /// Everything that is done once a turn rather than once a command.
    pub fn before_wait(&mut self) {
        self.expire_blocked();
        self.end_due_pauses();
        self.drive_link();
        self.settle_idle_tail();
        self.renew_votes();
        self.start_due_snapshot();
        self.tend_keyspace_fast();
        self.evict_if_due();
        self.flush_effects();
        self.broadcast_changes();
        self.ask_for_acks();
        if self.persistence.aof.is_on() {
            let began = Instant::now();
            self.flush_aof();
            let took = began.elapsed();
            self.stats.turns.aof_us += took.as_micros() as u64;
            self.note_latency(Event::AofWrite, took);
        }
        if self.exit.is_some() {
            // The append-only file failed its promise: nothing that rests on it leaves.
            return;
        }
        self.serve_replicas();
        self.after_acknowledgement_if_any();
        self.evict_clients();
        self.flush_output();
        self.close_marked();
        self.finish_shutdown_if_ready();
    }

    /// How long nothing but events can make work.
    fn next_timer(&self) -> Duration {
        let now = crate::sys::unix_ms();
        let mut next = self.next_cron_ms;
        let snapshot = self.snapshot_due();
        for due in [self.timers.next(), self.pauses.next_end(), self.link_due(), snapshot].into_iter().flatten() {
            next = next.min(due.max(now));
        }
        let held_up = self.persistence.child.is_some() || self.repl.failover.is_some();
        if held_up && snapshot.is_some_and(|due| due <= now) {
            // The snapshot waits for the end of something, which is an event.
            next = self.next_cron_ms;
        }
        let mut ms = u64::try_from(next - now).unwrap_or(0);
        if let Some(votes) = self.votes_due_in() {
            ms = ms.min(votes);
        }
        Duration::from_millis(ms)
    }
}
