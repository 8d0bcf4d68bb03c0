//! A trial: a few workloads, each going on from a crash of the one before, and a look at what every single call of them would leave.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kvorum_lsm::disk::sim::SimDisk;

use super::check::{Checker, Counts, same};
use super::ledger::Ledger;
use super::watch::{Lie, Seen, Watched};
use super::workload::{DIR, Settings, work};
use crate::support::{Model, Random, as_programs_see};

/// Workloads of a trial, and what each does.
const WORKLOADS: u64 = 3;
const THINGS: u64 = 50;
/// At one in so many calls the process is killed besides.
const KILLS: u64 = 8;

/// Told of every call.
pub type Observer = Arc<dyn Fn(&Seen<'_>) + Send + Sync>;

/// What the watch on the calls keeps.
struct Watching {
    random: Random,
    counts: Counts,
    /// The disk from which the next workload goes on, what it has, and how many copies.
    next: Option<(SimDisk, Model, usize)>,
    wrong: Option<String>,
}

/// Does the trial of a seed. Gives how many crashes there were, or what is wrong.
pub fn trial(seed: u64, lie: Option<Lie>, observer: &Observer) -> Result<Counts, String> {
    let mut random = Random(seed);
    let settings = Settings::draw(&mut random);
    let (mut start, ledger, mut counts) =
        (SimDisk::new(seed), Arc::new(Mutex::new(Ledger::default())), Counts::default());
    for workload in 0..WORKLOADS {
        let watching = Watching { random: Random(random.next()), counts: Counts::default(), next: None, wrong: None };
        let watching = Arc::new(Mutex::new(watching));
        let before = start.calls();
        let disk = {
            let (watching, ledger, settings, observer) =
                (watching.clone(), ledger.clone(), settings.clone(), observer.clone());
            let watch = move |disk: &SimDisk, seen: &Seen<'_>| {
                observer(seen);
                let (mut watching, ledger) = (lock(&watching), lock(&ledger));
                let looked = watching.look(disk, &ledger, &Checker { settings: &settings, lie });
                looked.map_err(|what| {
                    let place = format!("{:?} of {} during {:?}", seen.operation, seen.path.display(), seen.activity);
                    let calls = disk.calls() - before;
                    watching.wrong = Some(format!("seed {seed}, workload {workload}, call {calls}, {place}: {what}"));
                    io::Error::other("something is wrong")
                })
            };
            Watched::new(start.clone(), lie, Arc::new(watch))
        };
        let worked = work(&disk, &settings, &mut random, &ledger, THINGS);
        let mut watching = lock(&watching);
        if let Some(what) = watching.wrong.take() {
            return Err(what);
        }
        worked.map_err(|error| format!("seed {seed}, workload {workload}, without a crash: {error}"))?;
        assert_eq!(start.calls() - before, watching.counts.crashes, "the disk crashed at every call");
        counts.add(watching.counts);
        let (disk, found, copies) = watching.next.take().expect("there was a call");
        lock(&ledger).go_on(found, copies);
        start = disk;
    }
    Ok(counts)
}

/// What a panicking engine leaves is its own message, so nothing else panics after it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watching {
    /// Looks at what a crash now would leave.
    fn look(&mut self, disk: &SimDisk, ledger: &Ledger, checker: &Checker<'_>) -> Result<(), String> {
        self.counts.crashes += 1;
        let image = disk.crash(self.random.next());
        let next = self.random.one_in(self.counts.crashes).then(|| same(&image));
        let found = checker.check(&image, ledger, false, &mut self.random, &mut self.counts)?;
        if let Some(next) = next {
            self.next = Some((next, found, ledger.copies_made()));
        }
        if self.random.one_in(KILLS) {
            self.counts.kills += 1;
            let mut dirs = vec![Path::new(DIR)];
            dirs.extend(ledger.copies.last().filter(|copy| !copy.made).map(|copy| &*copy.dir));
            let image = as_programs_see(disk, &dirs);
            let checked = checker.check(&image, ledger, true, &mut self.random, &mut self.counts);
            checked.map_err(|what| format!("the process was killed: {what}"))?;
        }
        Ok(())
    }
}
