//! How many calls the API server is asked for at once. Thousands of resources that all have something to say would otherwise keep it so busy that
//! every call is given up before it is answered, and begun again: work without an end. What waits here costs it nothing.

use std::time::Duration;

use tokio::{sync::Semaphore, time::timeout};

use super::apply::Error;

/// Lets so many calls through at a time; the others wait for their turn.
pub(super) struct Gate(Semaphore);

impl Gate {
    pub fn new(calls: usize) -> Self {
        Self(Semaphore::new(calls))
    }

    /// Makes a call when its turn has come. It may wait for its turn for half of this time, and for the answer all of it: the two are counted
    /// apart, for a call that is made with no time left is made for nothing.
    pub async fn pass<T, E>(&self, patience: Duration, call: impl Future<Output = Result<T, E>>) -> Result<T, Error>
    where
        Error: From<E>,
    {
        let _turn = timeout(patience / 2, self.0.acquire()).await.map_err(|_| Error::Busy)?;
        Ok(timeout(patience, call).await??)
    }

    /// The same, for what nobody waits for.
    pub async fn pass_eventually<T, E>(
        &self,
        patience: Duration,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Error>
    where
        Error: From<E>,
    {
        let _turn = self.0.acquire().await;
        Ok(timeout(patience, call).await??)
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_call_that_does_not_get_its_turn_is_not_made() {
        let gate = Gate::new(1);
        let patience = Duration::from_secs(2);
        let hanging = gate.pass(patience, pending::<Result<(), kube::Error>>());
        let mut made = false;
        let waiting = gate.pass(patience, async {
            made = true;
            Ok::<_, kube::Error>(())
        });
        let (hung, waited) = tokio::join!(hanging, waiting);
        assert!(matches!(hung, Err(Error::Late(_))));
        assert!(matches!(waited, Err(Error::Busy)) && !made);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_has_all_of_its_time_although_it_waited() {
        let gate = Gate::new(1);
        let patience = Duration::from_secs(2);
        let take = |time| async move {
            tokio::time::sleep(time).await;
            Ok::<_, kube::Error>(())
        };
        let first = gate.pass(patience, take(Duration::from_millis(900)));
        let second = gate.pass(patience, take(Duration::from_millis(1_900)));
        let (first, second) = tokio::join!(first, second);
        first.unwrap();
        second.unwrap();
    }
}
