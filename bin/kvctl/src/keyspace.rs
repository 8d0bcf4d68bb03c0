//! `kvctl keyspace`: what is asked of the cluster, and how keyspaces are shown.

mod args;

use std::io::{IsTerminal, Write as _};
use std::time::Duration;

use kvorum_client::{Error, Keyspace, Keyspaces, Level};
use serde::Serialize;

pub(crate) use args::KeyspaceCommand;

use crate::exit::{Exit, Failure, one_line, verdict};
use crate::output::{Align, Cell, Table, print, print_json, quoted};
use crate::target::Target;

#[derive(Debug, Serialize)]
struct JsonKeyspaces {
    keyspaces: Vec<JsonKeyspace>,
    version: u64,
}

#[derive(Debug, Serialize)]
struct JsonKeyspace {
    name: String,
    id: u32,
    mode: String,
    replication: String,
    /// Null: a majority.
    read: Option<String>,
    write: Option<String>,
    min_read: u32,
    min_write: u32,
    /// Null: for ever.
    ttl_ms: Option<u64>,
    consistency: String,
}

#[derive(Debug, Serialize)]
struct JsonDropped<'a> {
    dropped: &'a str,
}

pub(crate) async fn run(target: &Target, command: KeyspaceCommand) -> Result<(), Failure> {
    match command {
        KeyspaceCommand::Create(create) => {
            let name = create.name.clone();
            let made = target.client.create_keyspace(&create.into_keyspace()).await;
            let made = made.map_err(|error| failure(target, "create", &name, &error))?;
            print_one(target, made)
        }
        KeyspaceCommand::List => {
            let all = list(target).await?;
            if target.wants_json() { print_json(&json_list(all)) } else { print(table(&all.keyspaces).as_bytes()) }
        }
        KeyspaceCommand::Show { name } => {
            let found = list(target).await?.keyspaces.into_iter().find(|keyspace| keyspace.name == name);
            let missing = || {
                let message = format!(
                    "cannot find keyspace {} through {}; see kvctl keyspace list",
                    quoted(name.as_bytes()),
                    target.endpoints
                );
                Failure::new(Exit::NotFound, message)
            };
            print_one(target, found.ok_or_else(missing)?)
        }
        KeyspaceCommand::Alter(alter) => {
            let altered = target.client.alter_keyspace(&alter.name, &alter.settings.into_alteration()).await;
            print_one(target, altered.map_err(|error| failure(target, "alter", &alter.name, &error))?)
        }
        KeyspaceCommand::Drop(drop) => {
            if !drop.yes && std::io::stdin().is_terminal() && !confirmed(&drop.name).await? {
                return Err(Failure::new(Exit::Refused, "nothing was dropped"));
            }
            let dropped = target.client.drop_keyspace(&drop.name).await;
            dropped.map_err(|error| failure(target, "drop", &drop.name, &error))?;
            if target.wants_json() {
                print_json(&JsonDropped { dropped: &drop.name })
            } else {
                print(format!("dropped {}\n", one_line(&drop.name)).as_bytes())
            }
        }
    }
}

async fn list(target: &Target) -> Result<Keyspaces, Failure> {
    let all = target.client.keyspaces().await;
    all.map_err(|error| Failure::of(&format!("list the keyspaces of {}", target.endpoints), &error))
}

/// What to do is in the node's own words, except where it has none.
fn failure(target: &Target, verb: &str, name: &str, error: &Error) -> Failure {
    let (exit, advice) = verdict(error);
    let what = format!("cannot {verb} keyspace {} through {}: {error}", quoted(name.as_bytes()), target.endpoints);
    match error {
        Error::Invalid { .. } | Error::NotFound { .. } | Error::Rejected { .. } => Failure::new(exit, what),
        Error::Indeterminate { .. } => {
            Failure::new(exit, format!("{what}; see kvctl keyspace list before you try again"))
        }
        _ => Failure::new(exit, format!("{what}; {advice}")),
    }
}

/// Asks whoever sits at the terminal.
async fn confirmed(name: &str) -> Result<bool, Failure> {
    let question = format!("drop keyspace {} and all its data? [y/N] ", quoted(name.as_bytes()));
    let asked = tokio::task::spawn_blocking(move || {
        let mut stderr = std::io::stderr();
        write!(stderr, "{}", one_line(&question))?;
        stderr.flush()?;
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer)?;
        Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
    });
    match asked.await {
        Ok(answer) => answer.map_err(|error: std::io::Error| Failure::other(format!("cannot ask: {error}; use --yes"))),
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
}

fn print_one(target: &Target, keyspace: Keyspace) -> Result<(), Failure> {
    if target.wants_json() { print_json(&json(keyspace)) } else { print(lines(&keyspace).as_bytes()) }
}

fn json_list(all: Keyspaces) -> JsonKeyspaces {
    JsonKeyspaces { keyspaces: all.keyspaces.into_iter().map(json).collect(), version: all.version }
}

fn json(keyspace: Keyspace) -> JsonKeyspace {
    JsonKeyspace {
        name: keyspace.name,
        id: keyspace.id,
        mode: keyspace.mode,
        replication: keyspace.replication,
        read: keyspace.read.map(|level| level.to_string()),
        write: keyspace.write.map(|level| level.to_string()),
        min_read: keyspace.min_read,
        min_write: keyspace.min_write,
        ttl_ms: keyspace.ttl.map(|ttl| u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX)),
        consistency: keyspace.consistency.to_string(),
    }
}

fn level(level: Option<Level>) -> String {
    level.map_or_else(|| "default".to_owned(), |level| level.to_string())
}

fn lifetime(ttl: Option<Duration>) -> String {
    ttl.map_or_else(|| "none".to_owned(), |ttl| humantime::format_duration(ttl).to_string())
}

fn table(keyspaces: &[Keyspace]) -> String {
    let mut table = Table::new([
        ("NAME", Align::Left),
        ("ID", Align::Right),
        ("MODE", Align::Left),
        ("REPLICATION", Align::Left),
        ("READ", Align::Left),
        ("WRITE", Align::Left),
        ("MIN R", Align::Right),
        ("MIN W", Align::Right),
        ("TTL", Align::Left),
        ("CONSISTENCY", Align::Left),
    ]);
    for keyspace in keyspaces {
        table.row([
            Cell::from(&keyspace.name),
            Cell::from(keyspace.id),
            Cell::from(&keyspace.mode),
            Cell::from(&keyspace.replication),
            Cell::from(level(keyspace.read)),
            Cell::from(level(keyspace.write)),
            Cell::from(keyspace.min_read),
            Cell::from(keyspace.min_write),
            Cell::from(lifetime(keyspace.ttl)),
            Cell::from(keyspace.consistency),
        ]);
    }
    table.render(false)
}

fn lines(keyspace: &Keyspace) -> String {
    format!(
        "name         {}\nid           {}\nmode         {}\nreplication  {}\nread         {}\nwrite        {}\nmin r        {}\nmin w        {}\nttl          {}\nconsistency  {}\n",
        one_line(&keyspace.name),
        keyspace.id,
        one_line(&keyspace.mode),
        one_line(&keyspace.replication),
        level(keyspace.read),
        level(keyspace.write),
        keyspace.min_read,
        keyspace.min_write,
        lifetime(keyspace.ttl),
        keyspace.consistency,
    )
}

#[cfg(test)]
mod tests {
    use kvorum_client::Consistency;

    use super::*;

    fn carts() -> Keyspace {
        Keyspace {
            name: "carts".into(),
            id: 2,
            mode: "causal".into(),
            replication: "3".into(),
            read: None,
            write: Some(Level::All),
            min_read: 1,
            min_write: 2,
            ttl: Some(Duration::from_secs(5400)),
            consistency: Consistency::Strict,
        }
    }

    #[test]
    fn the_json_is_that_of_the_contract() {
        let all = Keyspaces { keyspaces: vec![carts()], version: 4 };
        let text = serde_json::to_string(&json_list(all)).unwrap();
        let carts = concat!(
            r#"{"name":"carts","id":2,"mode":"causal","replication":"3","read":null,"write":"all","#,
            r#""min_read":1,"min_write":2,"ttl_ms":5400000,"consistency":"strict"}"#
        );
        assert_eq!(text, format!(r#"{{"keyspaces":[{carts}],"version":4}}"#));
    }

    #[test]
    fn people_see_aligned_text() {
        let mut plain = Keyspace { name: "default".into(), id: 1, mode: "lww".into(), ..carts() };
        (plain.write, plain.ttl, plain.consistency) = (None, None, Consistency::Sloppy);
        let text = table(&[plain, carts()]);
        let expected = concat!(
            "NAME     ID  MODE    REPLICATION  READ     WRITE    MIN R  MIN W  TTL     CONSISTENCY\n",
            "default   1  lww     3            default  default      1      2  none    sloppy\n",
            "carts     2  causal  3            default  all          1      2  1h 30m  strict\n",
        );
        assert_eq!(text, expected);
        assert!(lines(&carts()).ends_with("min w        2\nttl          1h 30m\nconsistency  strict\n"));
    }
}
