//! `kvctl status --watch`: who is there, then what becomes of them. It watches one node, and another when that one goes away;
//! what happened in between shows in what the other tells.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::io::IsTerminal;
use std::time::Duration;

use kvorum_client::{Client, Config, MemberEvent, Route, Status, StatusWatch, Watched};
use serde::Serialize;
use tokio::time::{Instant, sleep};

use crate::exit::{Failure, complain, one_line};
use crate::output::{print, print_json, takes_colour, unix_ms};
use crate::status;
use crate::target::Target;

/// How long to wait when no node can be watched.
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Debug, PartialEq, Serialize)]
struct JsonEvent {
    /// Milliseconds since the Unix epoch.
    at: u64,
    event: String,
    name: String,
    id: String,
    from: Option<String>,
    to: Option<String>,
    seen_by: String,
}

/// How what happens is shown.
#[derive(Clone, Copy, PartialEq)]
enum Style {
    /// A table, then lines.
    Terminal,
    Lines,
    Json,
}

/// What was last told of the members.
#[derive(Default)]
struct Known {
    /// By id: name and state.
    members: BTreeMap<String, (String, String)>,
    /// Where else the cluster can be watched.
    clients: Vec<String>,
}

pub(crate) async fn run(target: &Target, interval: Option<Duration>) -> Result<(), Failure> {
    let style = match (target.wants_json(), std::io::stdout().is_terminal()) {
        (true, _) => Style::Json,
        (false, true) => Style::Terminal,
        (false, false) => Style::Lines,
    };
    tokio::select! {
        ended = watch(target, interval, style) => ended,
        // To be interrupted is how it ends.
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}

async fn watch(target: &Target, interval: Option<Duration>, style: Style) -> Result<(), Failure> {
    let mut known = Known::default();
    let first = target.client.watch_status().await;
    let what = format!("watch the cluster through {}", target.endpoints);
    let mut watched = first.map_err(|error| Failure::of(&what, &error))?;
    loop {
        let lost = follow(&mut watched, interval, style, &mut known).await?;
        complain(&format!("{lost}; watching through another node"));
        watched = again(target, &known).await;
        complain(&format!("watching through {}", watched.endpoint()));
    }
}

/// Shows what one node tells until it goes away; how it did.
async fn follow(
    watched: &mut StatusWatch,
    interval: Option<Duration>,
    style: Style,
    known: &mut Known,
) -> Result<String, Failure> {
    let mut shown = Instant::now();
    loop {
        let next = async {
            match interval {
                Some(interval) => tokio::time::sleep_until(shown + interval).await,
                None => std::future::pending().await,
            }
        };
        let told = tokio::select! {
            told = watched.next() => told,
            () = next => {
                shown = Instant::now();
                match show_again(watched.endpoint(), style).await {
                    Ok(shown) => { shown?; continue }
                    Err(error) => Err(error),
                }
            }
        };
        match told {
            Ok(Watched::Present { status, missed }) => {
                if missed > 0 {
                    complain(&format!("{missed} changes were missed; what came of them follows"));
                }
                present(style, known, &status)?;
            }
            Ok(Watched::Event(event)) => happened(style, known, event)?,
            Ok(_) => {}
            Err(error) => {
                let why = error.source().map_or_else(|| error.to_string(), ToString::to_string);
                return Ok(format!("{} went away ({why})", watched.endpoint()));
            }
        }
    }
}

/// The whole status of the node that is watched.
async fn show_again(endpoint: &str, style: Style) -> Result<Result<(), Failure>, kvorum_client::Error> {
    let client = Client::lazy(Config::new([endpoint]).route(Route::Endpoints))?;
    let status = client.status().await?;
    Ok(if style == Style::Terminal { table(&status) } else { lines(style, &present_events(&status)) })
}

/// Watches whoever can be.
async fn again(target: &Target, known: &Known) -> StatusWatch {
    loop {
        let named = target.endpoints.split(',').map(ToOwned::to_owned);
        let all: Vec<String> = named.chain(known.clients.iter().cloned()).collect();
        let config = Config::new(all).route(Route::Endpoints).timeout(target.timeout);
        if let Ok(client) = Client::lazy(config)
            && let Ok(watched) = client.watch_status().await
        {
            return watched;
        }
        sleep(PAUSE).await;
    }
}

/// A node tells who is there: all of it is shown at first, and later what differs from what was known.
fn present(style: Style, known: &mut Known, status: &Status) -> Result<(), Failure> {
    let is_first = known.members.is_empty();
    let events = known.differences(status);
    if is_first && style == Style::Terminal {
        return table(status);
    }
    lines(style, &if is_first { present_events(status) } else { events })
}

fn happened(style: Style, known: &mut Known, event: MemberEvent) -> Result<(), Failure> {
    if let Some(to) = &event.to {
        known.members.insert(event.id.clone(), (event.name.clone(), to.clone()));
    }
    if event.kind == "forgotten" {
        known.members.remove(&event.id);
    }
    lines(style, &[event])
}

fn table(status: &Status) -> Result<(), Failure> {
    print(status::text(status, takes_colour()).as_bytes())
}

fn lines(style: Style, events: &[MemberEvent]) -> Result<(), Failure> {
    for event in events {
        if style == Style::Json {
            print_json(&json(event))?;
        } else {
            print(format!("{}\n", one_line(&line(event))).as_bytes())?;
        }
    }
    Ok(())
}

fn json(event: &MemberEvent) -> JsonEvent {
    let MemberEvent { at_ms, name, id, kind, from, to, seen_by } = event.clone();
    JsonEvent { at: at_ms, event: kind, name, id, from, to, seen_by }
}

/// `12:00:01 n3 up -> suspect (seen by n1)`.
fn line(event: &MemberEvent) -> String {
    let MemberEvent { at_ms, name, kind, from, to, seen_by, .. } = event;
    let seconds = at_ms / 1000 % 86_400;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let what = match (kind.as_str(), from, to) {
        ("present", _, Some(to)) => format!("is {to}"),
        (_, Some(from), Some(to)) => format!("{from} -> {to}"),
        _ => kind.clone(),
    };
    format!("{hours:02}:{minutes:02}:{seconds:02} {name} {what} (seen by {seen_by})")
}

fn present_events(status: &Status) -> Vec<MemberEvent> {
    let at_ms = unix_ms();
    let event = |member: &kvorum_client::Member| MemberEvent {
        at_ms,
        name: member.name.clone(),
        id: member.id.clone(),
        kind: "present".to_owned(),
        from: None,
        to: Some(member.state.clone()),
        seen_by: status.answered_by.clone(),
    };
    status.members.iter().map(event).collect()
}

impl Known {
    /// Takes over what a node tells; what is new in it.
    fn differences(&mut self, status: &Status) -> Vec<MemberEvent> {
        let mut events = present_events(status);
        events.retain_mut(|event| {
            let state = event.to.clone().unwrap_or_default();
            let before = self.members.insert(event.id.clone(), (event.name.clone(), state.clone()));
            event.kind = if before.is_some() { "changed" } else { "joined" }.to_owned();
            event.from = before.map(|(_, state)| state);
            // Whether there is a layout is no change of a member.
            let shown = |state: &str| if state == "joining" { "up" } else { state }.to_owned();
            event.from.as_deref().map(shown) != Some(shown(&state))
        });
        let gone: Vec<String> =
            self.members.keys().filter(|id| status.members.iter().all(|member| member.id != **id)).cloned().collect();
        for id in gone {
            let (name, from) = self.members.remove(&id).unwrap_or_default();
            let (kind, seen_by) = ("forgotten".to_owned(), status.answered_by.clone());
            events.push(MemberEvent { at_ms: unix_ms(), name, id, kind, from: Some(from), to: None, seen_by });
        }
        self.clients = status.members.iter().map(|member| member.client.clone()).filter(|it| it != "?").collect();
        events
    }
}

#[cfg(test)]
mod tests;
