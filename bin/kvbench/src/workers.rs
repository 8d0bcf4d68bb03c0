//! Owns what one client does, over and over: choose, call, record.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kvorum_client::{Client, Error, GetOptions, PutOptions};

use crate::distribution::Distribution;
use crate::keys::Keys;
use crate::live::Live;
use crate::random::Random;
use crate::turnstile::Turnstile;
use crate::values::Values;
use crate::workload::{Operation, Workload};

/// How long a client of a closed loop waits after an error, lest a cluster that refuses at once is flooded.
const PAUSE: Duration = Duration::from_millis(10);

/// What all clients of a run share.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) workload: Workload,
    pub(crate) distribution: Distribution,
    pub(crate) values: Values,
    pub(crate) reading: GetOptions,
    pub(crate) writing: PutOptions,
    pub(crate) live: Live,
    /// Absent in a closed loop.
    pub(crate) turnstile: Option<Turnstile>,
}

/// One client, until the run is over.
pub(crate) async fn work(job: Arc<Job>, client: Client, mut random: Random) {
    let mut keys = Keys::default();
    let mut start = Instant::now();
    loop {
        if let Some(turnstile) = &job.turnstile {
            let Some(intended) = turnstile.next().await else { return };
            start = intended;
        }
        let Some(counts) = job.live.begin(start) else { return };
        let operation = job.workload.draw(&mut random);
        let record = job.distribution.draw(&mut random);
        let key = keys.key(record);
        let began = Instant::now();
        let outcome = match operation {
            Operation::Read => client.get_with(key, &job.reading).await.map(|got| !got.versions.is_empty()),
            Operation::Update => client.put_with(key, job.values.draw(&mut random), &job.writing).await.map(|_| true),
        };
        let end = Instant::now();
        let failed = outcome.is_err();
        if counts {
            job.live.recorded(|recorder| match outcome {
                Ok(found) => {
                    recorder.succeeded(operation, start, end);
                    recorder.misses += u64::from(!found);
                }
                Err(error @ Error::Overloaded { .. }) => {
                    let after = end.saturating_duration_since(began);
                    recorder.refused(end, after, || describe(operation, &error));
                }
                Err(error) => recorder.failed(end, || describe(operation, &error)),
            });
        }
        start = end;
        if failed && job.turnstile.is_none() {
            tokio::time::sleep(PAUSE).await;
            start = Instant::now();
        }
    }
}

/// Without the key: many operations fail for one reason.
fn describe(operation: Operation, error: &Error) -> String {
    format!("{} failed: {error}", operation.name())
}
