//! The directories: the names as programs see them now, those that are durable, and the changes in between. It knows
//! nothing of what files hold.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Component, Path};
use std::sync::Arc;

use super::file::Inode;
use super::random::{Mercy, Random};

/// A directory; 0 is the root.
pub(super) type DirId = u64;
const ROOT: DirId = 0;

/// A name in a directory.
type Name = (DirId, String);

#[derive(Clone)]
enum Node {
    File(Arc<Inode>),
    Dir(DirId),
}

/// What happens to names at once, or not at all: each is given to a node or taken away.
#[derive(Clone)]
struct Change {
    edits: Vec<(Name, Option<Node>)>,
}

#[derive(Clone, Default)]
pub(super) struct Names {
    current: BTreeMap<Name, Node>,
    durable: BTreeMap<Name, Node>,
    /// What lies between the two, oldest first.
    pending: Vec<Change>,
    last_dir: DirId,
}

impl Names {
    pub(super) fn file(&self, path: &Path) -> io::Result<&Arc<Inode>> {
        match self.current.get(&self.name(path)?) {
            Some(Node::File(inode)) => Ok(inode),
            Some(Node::Dir(_)) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    pub(super) fn dir(&self, path: &Path) -> io::Result<DirId> {
        let mut dir = ROOT;
        for part in parts(path)? {
            dir = match self.current.get(&(dir, part.to_owned())) {
                Some(Node::Dir(inner)) => *inner,
                Some(Node::File(_)) => return Err(io::ErrorKind::NotADirectory.into()),
                None => return Err(io::ErrorKind::NotFound.into()),
            };
        }
        Ok(dir)
    }

    /// Gives a file a name that must be free.
    pub(super) fn add(&mut self, path: &Path, inode: Arc<Inode>) -> io::Result<()> {
        let name = self.name(path)?;
        if self.current.contains_key(&name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.change(vec![(name, Some(Node::File(inode)))]);
        Ok(())
    }

    pub(super) fn create_dir(&mut self, path: &Path) -> io::Result<()> {
        if self.dir(path).is_ok() {
            return Ok(());
        }
        let name = self.name(path)?;
        if self.current.contains_key(&name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.last_dir += 1;
        self.change(vec![(name, Some(Node::Dir(self.last_dir)))]);
        Ok(())
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let (from, to) = (self.name(from)?, self.name(to)?);
        let node = self.current.get(&from).cloned().ok_or(io::ErrorKind::NotFound)?;
        match (&node, self.current.get(&to)) {
            (Node::File(_), Some(Node::Dir(_))) => return Err(io::ErrorKind::IsADirectory.into()),
            (Node::Dir(_), Some(_)) => return Err(io::ErrorKind::AlreadyExists.into()),
            _ => {}
        }
        if from != to {
            self.change(vec![(from, None), (to, Some(node))]);
        }
        Ok(())
    }

    pub(super) fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.file(path)?;
        let name = self.name(path)?;
        self.change(vec![(name, None)]);
        Ok(())
    }

    pub(super) fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let dir = self.dir(dir)?;
        let names = self.current.range((dir, String::new())..(dir + 1, String::new()));
        Ok(names.map(|((_, name), _)| name.clone()).collect())
    }

    /// Makes the changes in a directory durable, and with them the earlier ones of the same names elsewhere.
    pub(super) fn sync(&mut self, dir: DirId) {
        let mut needed = BTreeSet::new();
        let mut durable = vec![false; self.pending.len()];
        for (change, durable) in self.pending.iter().zip(&mut durable).rev() {
            *durable = change.edits.iter().any(|(name, _)| name.0 == dir || needed.contains(name));
            if *durable {
                needed.extend(change.edits.iter().map(|(name, _)| name.clone()));
            }
        }
        let mut durable = durable.into_iter();
        self.pending.retain(|change| {
            let durable = durable.next().expect("each change is marked");
            if durable {
                apply(&mut self.durable, change);
            }
            !durable
        });
    }

    /// What a crash leaves: any of the changes, but of each name the later only with the earlier. Files become what
    /// `survivor` makes of them, those with several names once.
    pub(super) fn survivors(&self, random: &mut Random, mut survivor: impl FnMut(&Inode) -> Arc<Inode>) -> Self {
        let mercy = Mercy::draw(random);
        let mut names = self.durable.clone();
        let mut lost: BTreeSet<&Name> = BTreeSet::new();
        for change in &self.pending {
            let spared = mercy.spares(random) && change.edits.iter().all(|(name, _)| !lost.contains(name));
            if spared {
                apply(&mut names, change);
            } else {
                lost.extend(change.edits.iter().map(|(name, _)| name));
            }
        }
        let mut files: BTreeMap<u64, Arc<Inode>> = BTreeMap::new();
        for node in names.values_mut() {
            if let Node::File(inode) = node {
                *inode = files.entry(inode.id).or_insert_with(|| survivor(inode)).clone();
            }
        }
        Self { current: names.clone(), durable: names, pending: Vec::new(), last_dir: self.last_dir }
    }

    fn name(&self, path: &Path) -> io::Result<Name> {
        let name = parts(path)?.pop().ok_or(io::ErrorKind::InvalidInput)?;
        Ok((self.dir(path.parent().unwrap_or(Path::new("")))?, name.to_owned()))
    }

    fn change(&mut self, edits: Vec<(Name, Option<Node>)>) {
        let change = Change { edits };
        apply(&mut self.current, &change);
        self.pending.push(change);
    }
}

fn apply(names: &mut BTreeMap<Name, Node>, change: &Change) {
    for (name, node) in &change.edits {
        match node {
            Some(node) => names.insert(name.clone(), node.clone()),
            None => names.remove(name),
        };
    }
}

/// The parts of a path; all paths begin at the one root.
fn parts(path: &Path) -> io::Result<Vec<&str>> {
    let mut parts = Vec::new();
    for component in path.components() {
        match component {
            Component::RootDir | Component::CurDir => {}
            Component::Normal(part) => parts.push(part.to_str().ok_or(io::ErrorKind::InvalidInput)?),
            Component::ParentDir | Component::Prefix(_) => return Err(io::ErrorKind::InvalidInput.into()),
        }
    }
    Ok(parts)
}
