//! A small replicated register: three replicas that write alone, repair each other when they are behind, and forget what was
//! deleted once all have it. Run with `cargo run -p kvorum-vclock --example register`.

use kvorum_vclock::{Causality, Context, Dot, Error, Hlc, Siblings, Timestamp};

/// `None` is a tombstone: deleting is writing.
type Record = Siblings<u64, Option<&'static str>>;

struct Replica {
    /// Drawn at random whenever the replica starts, so that it never goes on under the name of a life whose last writes it may
    /// have lost.
    actor: u64,
    clock: Hlc,
    record: Record,
}

impl Replica {
    fn start(actor: u64) -> Self {
        Self { actor, clock: Hlc::new(Timestamp::MIN, Timestamp::MAX, 500), record: Record::new() }
    }

    fn write(&mut self, wall_ms: u64, context: &Context<u64>, value: Option<&'static str>) -> Result<Timestamp, Error> {
        let time = self.clock.mint_above(context.newest(), wall_ms)?;
        self.record.put(context, Dot { time, actor: self.actor }, value)?;
        Ok(time)
    }

    /// Takes over what the other has, if that is anything new.
    fn repair_from(&mut self, other: &Record) -> &'static str {
        match self.record.compare(other) {
            Causality::Equal => "equal, nothing to do",
            Causality::After => "ahead, nothing to do",
            Causality::Before | Causality::Concurrent => {
                self.record.merge(other);
                "repaired"
            }
        }
    }
}

fn show(what: &str, replicas: &[Replica]) {
    println!("{what}");
    for replica in replicas {
        let value =
            |(dot, value): (Dot<u64>, &Option<&str>)| format!("{} at {}", value.unwrap_or("(deleted)"), dot.time);
        let values: Vec<String> = replica.record.values().map(value).collect();
        let values = if values.is_empty() { "nothing".to_owned() } else { values.join(" | ") };
        println!("  {:016x}: {values}, {} bytes", replica.actor, encoded(&replica.record).len());
    }
}

/// As it would go to a disk or a peer.
fn encoded(record: &Record) -> Vec<u8> {
    let cell = |_, value: &Option<&'static str>| {
        Ok::<_, Error>(value.map_or(vec![0], |value| [&[1], value.as_bytes()].concat()))
    };
    let mut bytes = Vec::new();
    if let Ok(cells) = record.try_map(cell) {
        cells.encode(&mut bytes);
    }
    bytes
}

fn main() -> Result<(), Error> {
    let mut replicas = [0x1D52_9A07_C4E8_3B61, 0x8F3C_0B7E_52D9_A146, 0xE4A1_6C38_07BF_95D2].map(Replica::start);

    replicas[0].write(1_000, &Context::new(), Some("red"))?;
    replicas[1].write(1_001, &Context::new(), Some("blue"))?; // has not seen "red"
    show("two blind writes:", &replicas);

    for (to, from) in [(0, 1), (1, 0), (2, 0), (2, 1)] {
        let other = replicas[from].record.clone();
        println!("  replica {to} and what {from} has: {}", replicas[to].repair_from(&other));
    }
    show("a conflict, the same everywhere:", &replicas);

    let seen = replicas[2].record.context();
    let deleted = replicas[2].write(2_000, &seen, None)?;
    show("deleted, by one who saw both:", &replicas);

    for to in 0..2 {
        let other = replicas[2].record.clone();
        replicas[to].repair_from(&other);
    }
    // All have exchanged everything up to the delete, and nobody can write below it any more: it is stable.
    let forgotten: usize =
        replicas.iter_mut().map(|replica| replica.record.forget(deleted, |_, value| value.is_none())).sum();
    show(&format!("stable up to {deleted}, {forgotten} facts forgotten:"), &replicas);
    assert!(replicas.iter().all(|replica| replica.record == Record::new()));
    Ok(())
}
