//! `kvbench load`: writes every record once. The first that cannot be written ends it, since a run needs them all.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use kvorum_client::{Client, Error, PutOptions};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::args::LoadArgs;
use crate::connections::{Sharing, open};
use crate::exit::{Failure, print};
use crate::keys::Keys;
use crate::progress::{Progress, grouped, per_second};
use crate::random::Random;
use crate::values::Values;

const TICK: Duration = Duration::from_millis(250);

/// What the clients share.
struct Job {
    records: u64,
    /// The first record that nobody has taken.
    next: AtomicU64,
    done: AtomicU64,
    values: Values,
    writing: PutOptions,
}

pub(crate) async fn load(args: LoadArgs) -> Result<(), Failure> {
    let LoadArgs { target, clients } = args;
    let handles = open(&target, Sharing::PerNode, clients.get(), true).await?;
    let job = Arc::new(Job {
        records: target.records,
        next: AtomicU64::new(0),
        done: AtomicU64::new(0),
        values: Values::new(target.value_size, target.seed),
        writing: PutOptions::new().level(target.write),
    });
    let begin = Instant::now();
    let mut tasks = JoinSet::new();
    for (number, client) in (0u64..).zip(handles) {
        tasks.spawn(write_records(Arc::clone(&job), client, Random::new(target.seed, number)));
    }
    let progress = Progress::new(Some(target.records));
    let outcome = watch(&mut tasks, &job, &progress, begin).await;
    progress.clear();
    outcome.map_err(|(key, error)| {
        let done = grouped(job.done.load(Ordering::Relaxed));
        let what = format!("load {key} into {} ({done} records are in)", target.endpoints.join(","));
        Failure::of(&what, &error)
    })?;
    let time = begin.elapsed();
    print(&format!(
        "loaded {} records of {} B in {:.1} s ({} per second)\n",
        grouped(target.records),
        target.value_size,
        time.as_secs_f64(),
        grouped(per_second(target.records, time).round() as u64)
    ))
}

/// The key that failed, and why.
type Refused = (String, Error);

/// Takes records until none is left.
async fn write_records(job: Arc<Job>, client: Client, mut random: Random) -> Result<(), Refused> {
    let mut keys = Keys::default();
    loop {
        let record = job.next.fetch_add(1, Ordering::Relaxed);
        if record >= job.records {
            return Ok(());
        }
        let key = keys.key(record);
        if let Err(error) = client.put_with(key.clone(), job.values.draw(&mut random), &job.writing).await {
            return Err((String::from_utf8_lossy(&key).into_owned(), error));
        }
        job.done.fetch_add(1, Ordering::Relaxed);
    }
}

/// Until all clients are done or one has failed.
async fn watch(
    tasks: &mut JoinSet<Result<(), Refused>>,
    job: &Job,
    progress: &Progress,
    begin: Instant,
) -> Result<(), Refused> {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            ended = tasks.join_next() => match ended {
                None => return Ok(()),
                Some(ended) => ended.expect("a client does not panic")?,
            },
            _ = ticks.tick() => {
                let done = job.done.load(Ordering::Relaxed);
                let rate = per_second(done, begin.elapsed());
                progress.reached(done);
                progress.say(format!("{} records, {}/s", grouped(done), grouped(rate.round() as u64)));
            }
        }
    }
}
