//! `kvbench run`: warms up, measures, reports. What a client does meanwhile is in `workers.rs`.

use std::io;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kvorum_client::{Consistency, GetOptions, PutOptions};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::args::RunArgs;
use crate::connections::{Sharing, open};
use crate::cpu;
use crate::distribution::Distribution;
use crate::exit::{Exit, Failure, print};
use crate::live::Live;
use crate::progress::{Progress, grouped, latency, per_second};
use crate::random::Random;
use crate::recorder::Recorder;
use crate::report::{Interval, Measured, Report, rounded};
use crate::schedule::Schedule;
use crate::summary;
use crate::turnstile::Turnstile;
use crate::values::Values;
use crate::workers::{Job, work};

/// How often the live line changes and an interval ends.
const TICK: Duration = Duration::from_secs(1);

pub(crate) async fn run(args: RunArgs) -> Result<(), Failure> {
    let sharing = match args.connections {
        _ if args.own_connections => Sharing::Own,
        Some(number) => Sharing::Number(number.get()),
        None => Sharing::PerNode,
    };
    let clients = open(&args.target, sharing, args.clients.get(), args.rate.is_none()).await?;
    let job = Arc::new(job(&args).map_err(|error| Failure::new(Exit::Other, format!("cannot make a timer: {error}")))?);
    let mut tasks = JoinSet::new();
    for (number, client) in (0u64..).zip(clients) {
        tasks.spawn(work(Arc::clone(&job), client, Random::new(args.target.seed, number)));
    }
    if job.turnstile.is_some() {
        let job = Arc::clone(&job);
        // It is not waited for: it may be asleep when the run ends.
        tokio::spawn(async move {
            let turnstile = job.turnstile.as_ref().expect("it was there");
            turnstile.watch().await.expect("the kernel's timer works once it is made");
        });
    }
    let mut course = Course::new(&args, &job);
    course.measure(&mut tasks).await;
    let Course { total, measured, .. } = course;
    let report = Report::new(&args, sharing, &total, measured);
    if let Some(path) = &args.report {
        report.write(path)?;
    }
    print(&summary::text(&report, &total, sharing))?;
    match report.errors {
        errors if errors > 0 && report.ops == 0 => {
            let message = format!("all {} operations failed; see kvctl status", grouped(errors));
            Err(Failure::new(Exit::AllFailed, message))
        }
        _ => Ok(()),
    }
}

fn job(args: &RunArgs) -> io::Result<Job> {
    let consistency = args.target.strict.then_some(Consistency::Strict);
    let schedule = args.rate.map(|rate| Schedule::new(Instant::now(), rate));
    Ok(Job {
        workload: args.workload,
        distribution: Distribution::new(args.distribution, args.target.records),
        values: Values::new(args.target.value_size, args.target.seed),
        reading: GetOptions::new().level(args.read).consistency(consistency),
        writing: PutOptions::new().level(args.target.write).consistency(consistency),
        live: Live::new(args.ops.map(NonZeroU64::get)),
        turnstile: schedule.map(Turnstile::new).transpose()?,
    })
}

/// The course of one run.
struct Course<'a> {
    args: &'a RunArgs,
    job: &'a Job,
    progress: Progress,
    /// Everything recorded up to the last tick.
    total: Recorder,
    /// How many errors have been shown.
    shown: usize,
    begin: Instant,
    last_tick: Instant,
    measured: Measured,
}

impl<'a> Course<'a> {
    fn new(args: &'a RunArgs, job: &'a Job) -> Course<'a> {
        let measured = Measured { time: Duration::ZERO, cpu: Duration::ZERO, not_begun: 0, intervals: Vec::new() };
        let (progress, total, now) = (Progress::new(None), Recorder::new(), Instant::now());
        Course { args, job, progress, total, shown: 0, begin: now, last_tick: now, measured }
    }

    /// From the warm-up to the end of the last operation. Ctrl-C ends the measurement early; a second one does not wait
    /// for operations that hang.
    async fn measure(&mut self, clients: &mut JoinSet<()>) {
        self.progress.say("warming up".into());
        let cut_short = tokio::select! {
            () = sleep(self.args.warm_up) => false,
            () = interrupted() => true,
        };
        self.begin = Instant::now();
        self.last_tick = self.begin;
        let cpu_before = cpu::used();
        self.job.live.start_counting(self.begin);
        if let Some(turnstile) = &self.job.turnstile {
            // What the warm-up left undone would be in the way of what counts.
            turnstile.drop_arrears(self.begin);
        }
        let (args, job) = (self.args, self.job);
        if !cut_short {
            tokio::select! {
                () = self.tick() => unreachable!("ticks do not end"),
                () = length(args, job) => {}
                () = interrupted() => {}
            }
        }
        self.stop();
        tokio::select! {
            () = all_ended(clients) => {}
            () = interrupted() => clients.shutdown().await,
        }
        self.measured.cpu = cpu::used().saturating_sub(cpu_before);
        self.end_interval();
        let end = self.total.last_end.unwrap_or_else(Instant::now);
        self.measured.time = end.saturating_duration_since(self.begin);
        self.progress.clear();
    }

    fn stop(&mut self) {
        self.job.live.stop();
        if let Some(turnstile) = &self.job.turnstile {
            let schedule = turnstile.schedule;
            let due = schedule.due(Instant::now());
            let begun = turnstile.close();
            // Past a number of operations nothing is due any more.
            self.measured.not_begun = if self.args.ops.is_some() { 0 } else { due.saturating_sub(begun) };
        }
    }

    async fn tick(&mut self) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        loop {
            ticks.tick().await;
            self.end_interval();
        }
    }

    /// Moves what was recorded since the last tick to the total, and tells of it.
    fn end_interval(&mut self) {
        let now = Instant::now();
        let length = now - self.last_tick;
        self.last_tick = now;
        let (all, errors, shown) = self.job.live.recorded(|interval| {
            let (all, errors) = (interval.all(), interval.errors);
            self.total.absorb(interval);
            (all, errors, interval.shown[self.shown..].to_vec())
        });
        self.shown += shown.len();
        shown.iter().for_each(|message| self.progress.complain(message));
        let percentiles = all.percentiles();
        let throughput = per_second(all.count(), length);
        self.progress.say(format!(
            "{:.0} s  {} ops/s  p50 {}  p99 {}  {} errors",
            (now - self.begin).as_secs_f64(),
            grouped(throughput.round() as u64),
            latency(percentiles.p50),
            latency(percentiles.p99),
            grouped(self.total.errors)
        ));
        if length >= TICK / 10 {
            self.measured.intervals.push(Interval {
                at: rounded((now - self.begin).as_secs_f64(), 3),
                throughput: rounded(throughput, 1),
                errors,
                p50: percentiles.p50,
                p99: percentiles.p99,
            });
        }
    }
}

/// Until no more operations are to begin.
async fn length(args: &RunArgs, job: &Job) {
    match args.duration {
        Some(duration) => sleep(duration).await,
        None => job.live.all_begun.notified().await,
    }
}

async fn all_ended(clients: &mut JoinSet<()>) {
    while let Some(ended) = clients.join_next().await {
        ended.expect("a client does not panic");
    }
}

async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        // Then only the run's own length ends it.
        std::future::pending::<()>().await;
    }
}
