//! One task an instance: it connects, holds the connection, asks, sends, and publishes what it saw.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    net::TcpStream,
    sync::{Notify, mpsc, watch},
    task::JoinHandle,
    time::{Instant, sleep, sleep_until, timeout},
};
use tracing::Instrument;
use valkey_repl_engine::{
    Command,
    observe::{Answer, Connection, LinkState},
};

use super::{
    Seen, Settings, Target,
    session::{Ended, Heard, Session},
};
use crate::clock::boottime_ms;

/// How long to wait before a port that refused is tried again.
const RETRY: Duration = Duration::from_millis(100);
/// How long to wait after a connection that ended without an answer, where the one before had answered: a process that is being
/// killed may lose its connections before its port, which then takes one more and refuses the next.
const BREATH: Duration = Duration::from_millis(5);
/// More questions at once would not be answered sooner.
const MOST_QUESTIONS: usize = 4;

/// The connection to one instance. Dropping it ends it.
#[derive(Debug)]
pub struct Link {
    target: watch::Sender<Option<Target>>,
    seen: watch::Receiver<Seen>,
    orders: mpsc::UnboundedSender<Order>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
enum Order {
    Ask,
    Tell(Command),
}

impl Link {
    /// Starts a task that tries to reach the instance as soon as it is told where that is. `news` is notified whenever
    /// what [`Link::seen`] returns has changed.
    pub fn start(settings: Settings, news: Arc<Notify>) -> Self {
        let (target, target_of_task) = watch::channel(None);
        let (publish, seen) = watch::channel(Seen::default());
        let (orders, orders_of_task) = mpsc::unbounded_channel();
        let task = Task {
            settings,
            target: target_of_task,
            orders: orders_of_task,
            publish,
            news,
            unanswered_since: None,
            answered: false,
            link_since: None,
        };
        Self { target, seen, orders, task: tokio::spawn(task.run().in_current_span()) }
    }

    /// Says where the instance is now; `None`: nowhere. A change ends the connection that stands.
    pub fn aim(&self, target: Option<Target>) {
        self.target.send_if_modified(|now| {
            let other = *now != target;
            *now = target;
            other
        });
    }

    /// Where the instance was last said to be.
    pub fn target(&self) -> Option<Target> {
        self.target.borrow().clone()
    }

    /// What is known of it.
    pub fn seen(&self) -> Seen {
        self.seen.borrow().clone()
    }

    /// What is known of it, to wait on.
    pub fn watch(&self) -> watch::Receiver<Seen> {
        self.seen.clone()
    }

    /// Asks it about itself now, without waiting for the next regular question.
    pub fn ask(&self) {
        // The task ends only with this handle, so this cannot fail; were it gone, the silence would be published.
        let _ = self.orders.send(Order::Ask);
    }

    /// Sends a command if there is a connection to the process that it is for; otherwise it is dropped, as a lost one.
    pub fn tell(&self, command: Command) {
        let _ = self.orders.send(Order::Tell(command));
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Task {
    settings: Settings,
    target: watch::Receiver<Option<Target>>,
    orders: mpsc::UnboundedReceiver<Order>,
    publish: watch::Sender<Seen>,
    news: Arc<Notify>,
    /// When the oldest question that nothing came back on was asked, over all attempts since.
    unanswered_since: Option<u64>,
    /// Whether anything was answered on the connection that stands or stood last.
    answered: bool,
    /// Since when the replication link was seen in the state that it is in.
    link_since: Option<(String, LinkState, u64)>,
}

impl Task {
    async fn run(mut self) {
        loop {
            let target = self.target.borrow_and_update().clone();
            let Some(target) = target else {
                self.unanswered_since = None;
                self.publish(|seen| seen.connection = Connection::Untried);
                if self.target.changed().await.is_err() {
                    return;
                }
                continue;
            };
            self.attempt(&target).await;
            // What was ordered without a connection is lost, as any message can be.
            while self.orders.try_recv().is_ok() {}
        }
    }

    /// One attempt to connect, and all that comes of it.
    async fn attempt(&mut self, target: &Target) {
        let asked_ms = boottime_ms();
        let connected = tokio::select! {
            connected = timeout(self.settings.overdue, TcpStream::connect(target.address)) => {
                connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            }
            _ = self.target.changed() => return self.target.mark_changed(),
        };
        match connected {
            Ok(stream) => {
                let answered_before = std::mem::take(&mut self.answered);
                let ended = match Session::begin(stream, target, self.settings.native).await {
                    Ok(session) => self.converse(session).await,
                    Err(ended) => Some(ended),
                };
                if let Some(ended) = ended {
                    tracing::debug!(address = %target.address, "{ended}");
                    // Nothing comes back any more; the next attempt follows at once and says more.
                    self.silent_since(boottime_ms());
                    if let Ended::Malformed(_) = ended {
                        self.publish(|seen| seen.problem = Some(ended.to_string()));
                    }
                    // One that takes connections and answers nothing on them is not to be tried without a breath.
                    if !self.answered {
                        self.pause(if answered_before { BREATH } else { RETRY }).await;
                    }
                }
            }
            Err(error) if refused(&error) => {
                self.unanswered_since = None;
                // Another target since then: the refusal is nobody's.
                if !self.target.has_changed().unwrap_or(true) {
                    let uid = Some(target.uid.clone());
                    self.publish(|seen| seen.connection = Connection::Refused { asked_ms, uid });
                }
                self.pause(RETRY).await;
            }
            Err(error) => {
                tracing::debug!(address = %target.address, "{error}");
                self.silent_since(asked_ms);
                self.pause(RETRY).await;
            }
        }
    }

    /// Holds a connection until it ends (why), or until the instance is elsewhere (`None`).
    async fn converse(&mut self, mut session: Session) -> Option<Ended> {
        let mut next = Instant::now() + self.settings.interval;
        loop {
            let overdue = session.oldest_question_ms().map(|asked| {
                let age = Duration::from_millis(boottime_ms().saturating_sub(asked));
                Instant::now() + self.settings.overdue.saturating_sub(age)
            });
            let done = tokio::select! {
                biased;
                changed = self.target.changed() => {
                    if changed.is_ok() {
                        self.target.mark_changed();
                    }
                    return None;
                }
                heard = session.hear() => heard.map(|heard| self.heard(heard)),
                order = self.orders.recv() => match order {
                    None => return None,
                    Some(Order::Tell(command)) => session.command(&command).await,
                    Some(Order::Ask) if session.questions() < MOST_QUESTIONS => session.probe(false).await,
                    Some(Order::Ask) => Ok(()),
                },
                () = sleep_until(next) => {
                    next = Instant::now() + self.settings.interval;
                    if session.questions() == 0 { session.probe(true).await } else { Ok(()) }
                }
                () = sleep_until(overdue.unwrap_or(next)), if overdue.is_some() => {
                    let asked = session.oldest_question_ms().unwrap_or_else(boottime_ms);
                    self.silent_since(asked);
                    // A new connection finds its way sooner than one whose packets are being resent ever more slowly.
                    return Some(Ended::Io(io::ErrorKind::TimedOut.into()));
                }
            };
            if let Err(ended) = done {
                return Some(ended);
            }
        }
    }

    fn heard(&mut self, heard: Heard) {
        match heard {
            Heard::Answer { mut answer, regular } => {
                self.unanswered_since = None;
                self.answered = true;
                self.date_link(&mut answer);
                let mut is_news = true;
                self.publish.send_modify(|seen| {
                    let before = seen.answer.take();
                    let same = before.as_ref().is_some_and(|before| answer.says_the_same(before));
                    is_news = !(regular && same && seen.connection == Connection::Connected && seen.problem.is_none());
                    seen.connection = Connection::Connected;
                    seen.problem = None;
                    let newer = before.as_ref().is_none_or(|before| before.asked_ms <= answer.asked_ms);
                    seen.answer = if newer { Some(*answer) } else { before };
                });
                // What only says that all is as before is seen in the next turn, which is not far.
                if is_news {
                    self.news.notify_one();
                }
            }
            Heard::Process(process) => self.publish(|seen| {
                if seen.process.as_ref().is_none_or(|before| before.run_id != process.run_id) {
                    seen.unset.clear();
                    seen.tried = None;
                }
                seen.process = Some(process);
            }),
            Heard::Setting { directive, problem } => {
                if let Some(problem) = &problem {
                    tracing::warn!(directive, "not set: {problem}");
                }
                self.publish(|seen| match problem {
                    Some(problem) => drop(seen.unset.insert(directive, problem)),
                    None => drop(seen.unset.remove(&directive)),
                });
            }
            Heard::Tried(directives) => self.publish(|seen| {
                seen.unset.retain(|directive, _| directives.has(directive));
                seen.tried = Some(directives);
            }),
            Heard::Problem(problem) => self.publish(|seen| seen.problem = Some(problem)),
            Heard::Refused(refusal) => {
                tracing::warn!("refused: {refusal}");
                self.publish(|seen| seen.refusal = Some(refusal));
            }
        }
    }

    /// For how long the link has been in its state: as the server says, but no longer than it was seen so. Of a link that
    /// is up, servers do not say.
    fn date_link(&mut self, answer: &mut Answer) {
        let Some(upstream) = &mut answer.upstream else {
            self.link_since = None;
            return;
        };
        let since = match &self.link_since {
            Some((run_id, link, since)) if *run_id == answer.run_id && *link == upstream.link => *since,
            _ => answer.asked_ms,
        };
        self.link_since = Some((answer.run_id.clone(), upstream.link, since));
        let seen = answer.asked_ms.saturating_sub(since);
        upstream.since_ms = if upstream.link == LinkState::Up { seen } else { upstream.since_ms.min(seen) };
    }

    fn silent_since(&mut self, asked_ms: u64) {
        let since_ms = *self.unanswered_since.get_or_insert(asked_ms);
        self.publish(|seen| seen.connection = Connection::Silent { since_ms });
    }

    fn publish(&self, change: impl FnOnce(&mut Seen)) {
        let changed = self.publish.send_if_modified(|seen| {
            let before = seen.clone();
            change(seen);
            *seen != before
        });
        if changed {
            self.news.notify_one();
        }
    }

    async fn pause(&mut self, how_long: Duration) {
        tokio::select! {
            () = sleep(how_long) => {}
            changed = self.target.changed() => if changed.is_ok() { self.target.mark_changed() },
        }
    }
}

/// Whether the other side said no, actively. A time-out or a missing route says nothing about the process.
fn refused(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset)
}
