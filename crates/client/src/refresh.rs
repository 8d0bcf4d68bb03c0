//! Owns keeping the topology fresh: fetched at the start, when a session breaks, and every 30
//! seconds. A topology that cannot be had leaves the last one in use.

use core::time::Duration;
use std::sync::{Arc, Weak};

use tokio::time::{sleep, timeout};

use crate::client::Core;
use crate::node::Node;
use crate::table::Table;
use crate::{Error, admin};

/// How long a topology is used before it is asked for again.
const PERIOD: Duration = Duration::from_secs(30);
/// The same while there is none.
const IMPATIENT_PERIOD: Duration = Duration::from_secs(1);
/// Not more often than this, however many sessions break.
const SHORTEST_PERIOD: Duration = Duration::from_millis(250);

/// Asks for the topology once and installs it.
pub(crate) async fn refresh(core: &Core) -> Result<(), Error> {
    let config = &core.config;
    let topology = admin::topology(&core.routes, config.timeout).await?;
    let node = |address: &str| {
        core.routes.find(address).or_else(|| {
            let ended = Arc::clone(&core.routes.ended);
            Node::new(address, config.connections, ended).ok().map(Arc::new)
        })
    };
    if let Some(table) = Table::new(topology, config.dc.as_deref(), node) {
        core.routes.install(table);
    }
    Ok(())
}

/// Keeps the topology fresh for as long as the client lives.
pub(crate) async fn keep_fresh(core: Weak<Core>) {
    let mut is_due = core.upgrade().is_some_and(|core| !core.routes.has_table());
    loop {
        let Some(alive) = core.upgrade() else { return };
        if is_due {
            // Calls fail for reasons of their own when no node can be asked.
            let _ = refresh(&alive).await;
        }
        let period = if alive.routes.has_table() { PERIOD } else { IMPATIENT_PERIOD };
        let ended = Arc::clone(&alive.routes.ended);
        drop(alive);
        sleep(SHORTEST_PERIOD).await;
        // Either is a reason to ask.
        let _ = timeout(period.saturating_sub(SHORTEST_PERIOD), ended.notified()).await;
        is_due = true;
    }
}
