//! What clients do: registers that are read, overwritten and deleted, values that expire, scans, and sets whose
//! elements are keys of one partition, so that a scan lists them. It draws tasks; `client` carries them out.

use core::time::Duration;
use std::sync::Arc;

use crate::config::SimConfig;
use crate::random::Random;

/// How long the longest padding of a value is.
const MOST_PADDING: u64 = 300;
/// How many elements a set may have.
const SET_SIZE: usize = 10;

/// How often clients do what: weights among each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mix {
    /// Read a key.
    pub get: u16,
    /// Write a key.
    pub put: u16,
    /// Delete a key.
    pub delete: u16,
    /// Write a key for a short time.
    pub expiring_put: u16,
    /// Read one page of a partition.
    pub scan: u16,
    /// Add an element to a set.
    pub add: u16,
    /// Remove an element from a set.
    pub remove: u16,
    /// Read a whole set.
    pub list: u16,
    /// How often a client tries elsewhere what was refused.
    pub retries: u8,
}

impl Mix {
    /// Registers, and some of everything else.
    pub const ORDINARY: Self =
        Self { get: 45, put: 37, delete: 12, expiring_put: 0, scan: 6, add: 0, remove: 0, list: 0, retries: 0 };

    /// Always reads and writes; of the rest, some kinds not at all.
    pub(crate) fn swarm(random: &mut Random) -> Self {
        let mut draw = |least: u16, most: u64| {
            if least == 0 && random.permille(500) { 0 } else { least + random.below(most) as u16 }
        };
        let (add, remove, list) = (draw(0, 30), draw(0, 10), draw(0, 8));
        Self {
            get: draw(10, 50),
            put: draw(10, 50),
            delete: draw(0, 20),
            expiring_put: draw(0, 20),
            scan: draw(0, 10),
            add,
            remove: if add > 0 { remove } else { 0 },
            list: if add > 0 { list } else { 0 },
            retries: [0, 1, 3][random.index(3)],
        }
    }
}

/// The number of a key in [`Keys`].
pub(crate) type KeyIndex = usize;

/// One thing for a client to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    Get(KeyIndex),
    Put {
        key: KeyIndex,
        ttl: Option<Duration>,
    },
    Delete(KeyIndex),
    /// One page of the partition of a key.
    Scan(KeyIndex),
    /// All elements of a set.
    List {
        set: usize,
    },
}

/// The keys that clients use: registers, and the elements of two sets.
pub(crate) struct Keys {
    names: Vec<Arc<str>>,
    registers: usize,
}

const SETS: usize = 2;

impl Keys {
    pub(crate) fn new(config: &SimConfig) -> Self {
        let registers = (0..config.keys).map(|key| format!("key-{key}").into());
        let elements = (0..if config.mix.add > 0 { SETS } else { 0 })
            .flat_map(|set| (0..SET_SIZE).map(move |element| format!("{}{element}", set_prefix(set)).into()));
        Self { names: registers.chain(elements).collect(), registers: config.keys }
    }

    pub(crate) fn names(&self) -> &[Arc<str>] {
        &self.names
    }

    pub(crate) fn name(&self, key: KeyIndex) -> &Arc<str> {
        &self.names[key]
    }

    fn element(&self, random: &mut Random) -> KeyIndex {
        self.registers + random.index(self.names.len() - self.registers)
    }

    /// What somebody wants to do next.
    pub(crate) fn draw(&self, mix: &Mix, random: &mut Random) -> Task {
        let register = random.index(self.registers);
        let kinds = [mix.get, mix.put, mix.delete, mix.expiring_put, mix.scan, mix.add, mix.remove, mix.list];
        let kinds: Vec<(usize, u16)> = kinds.into_iter().enumerate().collect();
        match random.weighted(&kinds).expect("clients always read and write") {
            0 => Task::Get(register),
            1 => Task::Put { key: register, ttl: None },
            2 => Task::Delete(register),
            3 => Task::Put { key: register, ttl: Some(random.millis(1, 2000)) },
            4 => Task::Scan(register),
            5 => Task::Put { key: self.element(random), ttl: None },
            6 => Task::Delete(self.element(random)),
            _ => Task::List { set: random.index(SETS) },
        }
    }
}

/// What the names of a set's elements begin with: the part in braces gives them all one token.
pub(crate) fn set_prefix(set: usize) -> String {
    format!("{{set-{set}}}:")
}

/// A value that names the operation that writes it; some are long, if they may be.
pub(crate) fn value_of(operation: usize, padded: bool, random: &mut Random) -> String {
    let padding = if padded && random.permille(300) { random.below(MOST_PADDING) as usize } else { 0 };
    format!("{operation}:{padding}:{:.<padding$}", "")
}

/// The operation that wrote a value, if it is whole.
pub(crate) fn operation_of(value: &[u8]) -> Option<usize> {
    let mut parts = core::str::from_utf8(value).ok()?.splitn(3, ':');
    let (operation, padding) = (parts.next()?.parse().ok()?, parts.next()?.parse::<usize>().ok()?);
    let rest = parts.next()?;
    (rest.len() == padding && rest.bytes().all(|byte| byte == b'.')).then_some(operation)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Purpose;

    #[test]
    fn all_is_drawn_that_the_mix_holds_and_nothing_else() {
        let mut random = Random::stream(1, Purpose::Client);
        let everything = Mix { expiring_put: 5, add: 5, remove: 5, list: 5, ..Mix::ORDINARY };
        let config = SimConfig { mix: everything, keys: 3, ..SimConfig::from_seed(1) };
        let keys = Keys::new(&config);
        let tasks: Vec<Task> = (0..1000).map(|_| keys.draw(&everything, &mut random)).collect();
        let some = |wanted: fn(&Task) -> bool| tasks.iter().any(wanted);
        assert!(some(|task| matches!(task, Task::Get(key) if *key < 3)) && some(|task| matches!(task, Task::Scan(_))));
        assert!(some(|task| matches!(task, Task::Put { ttl: Some(_), key } if *key < 3)));
        assert!(some(|task| matches!(task, Task::Put { ttl: None, key } if *key >= 3)));
        assert!(some(|task| matches!(task, Task::Delete(key) if *key >= 3)));
        assert!(some(|task| matches!(task, Task::List { set: 1 })));
        let plain = Keys::new(&SimConfig { mix: Mix::ORDINARY, ..config });
        assert_eq!(plain.names().len(), 3);
        let tasks = (0..1000).map(|_| plain.draw(&Mix::ORDINARY, &mut random));
        assert!(tasks.into_iter().all(|task| !matches!(task, Task::List { .. } | Task::Put { ttl: Some(_), .. })));
    }

    #[test]
    fn a_value_tells_who_wrote_it() {
        let mut random = Random::stream(1, Purpose::Client);
        for operation in [0, 7, 123_456] {
            let value = value_of(operation, true, &mut random);
            assert_eq!(operation_of(value.as_bytes()), Some(operation));
            assert!(value.len() < 400);
        }
        for damaged in ["x", "7", "7:2", "7:2:.", "7:2:..x", "7:2:...", "7:0:."] {
            assert_eq!(operation_of(damaged.as_bytes()), None, "{damaged}");
        }
    }
}
