//! Where people's questions wait for the task that can answer them: what would you do now, and why?

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, oneshot},
    time::timeout,
};
use valkey_repl_engine::Explanation;

use super::registry::Key;

/// How long a question waits: a task that stands in a call to the API server answers after it.
const PATIENCE: Duration = Duration::from_secs(10);

/// One for all resources. It is empty while this operator does not lead.
#[derive(Debug, Default)]
pub struct Desk {
    open: Mutex<HashMap<Key, Questions>>,
    /// How many questions there are in all, so that a task's turn costs nothing while there is none.
    waiting: AtomicUsize,
}

#[derive(Debug)]
struct Questions {
    news: Arc<Notify>,
    askers: Vec<oneshot::Sender<Explanation>>,
}

impl Desk {
    /// Asks whoever looks after a resource; `None`: nobody here does, or not in time.
    pub async fn ask(&self, namespace: &str, name: &str) -> Option<Explanation> {
        let answer = {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            let questions = open.get_mut(&(namespace.to_owned(), name.to_owned()))?;
            let (asker, answer) = oneshot::channel();
            questions.askers.push(asker);
            self.waiting.fetch_add(1, Ordering::Relaxed);
            questions.news.notify_one();
            answer
        };
        timeout(PATIENCE, answer).await.ok()?.ok()
    }

    /// Somebody looks after this resource from now on, and is woken by `news`.
    pub(super) fn enter(&self, key: &Key, news: Arc<Notify>) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        self.drop_askers(open.insert(key.clone(), Questions { news, askers: Vec::new() }));
    }

    /// Nobody does any more.
    pub(super) fn leave(&self, key: &Key, news: &Arc<Notify>) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.get(key).is_some_and(|questions| Arc::ptr_eq(&questions.news, news)) {
            self.drop_askers(open.remove(key));
        }
    }

    /// Answers those who have asked about this resource.
    pub(super) fn answer(&self, key: &Key, explanation: impl FnOnce() -> Explanation) {
        if self.waiting.load(Ordering::Relaxed) == 0 {
            return;
        }
        let askers = {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            open.get_mut(key).map(|questions| std::mem::take(&mut questions.askers)).unwrap_or_default()
        };
        if askers.is_empty() {
            return;
        }
        self.waiting.fetch_sub(askers.len(), Ordering::Relaxed);
        let explanation = explanation();
        for asker in askers {
            // Who does not wait any more needs no answer.
            let _ = asker.send(explanation.clone());
        }
    }

    fn drop_askers(&self, questions: Option<Questions>) {
        self.waiting.fetch_sub(questions.map_or(0, |questions| questions.askers.len()), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_question_wakes_the_task_that_can_answer_it() {
        let desk = Arc::new(Desk::default());
        let key = ("shop".to_owned(), "pair".to_owned());
        let news = Arc::new(Notify::new());
        desk.enter(&key, news.clone());
        let asked = tokio::spawn({
            let desk = desk.clone();
            async move { desk.ask("shop", "pair").await }
        });
        news.notified().await;
        desk.answer(&key, || Explanation { waits: vec!["Steady".into()], ..Explanation::default() });
        assert_eq!(asked.await.unwrap().unwrap().waits, ["Steady"]);
        assert_eq!(desk.waiting.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn nobody_answers_for_a_resource_that_is_not_looked_after() {
        let desk = Desk::default();
        assert_eq!(desk.ask("shop", "pair").await, None);
        let (key, news) = (("shop".to_owned(), "pair".to_owned()), Arc::new(Notify::new()));
        desk.enter(&key, news.clone());
        desk.leave(&key, &Arc::new(Notify::new()));
        assert_eq!(desk.open.lock().unwrap().len(), 1, "its successor has taken the place");
        desk.leave(&key, &news);
        assert_eq!(desk.ask("shop", "pair").await, None);
    }
}
