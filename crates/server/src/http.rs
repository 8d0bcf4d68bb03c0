//! The HTTP port: `/livez` and `/readyz`, for those who look after processes.

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::sync::watch;

use crate::control_loop::Snapshot;

pub(crate) fn router(snapshot: watch::Receiver<Snapshot>, stopped: watch::Receiver<bool>) -> Router {
    let ready = move || async move {
        let snapshot = snapshot.borrow();
        if *stopped.borrow() {
            (StatusCode::SERVICE_UNAVAILABLE, "not ready: the node is stopping\n".to_owned())
        } else if snapshot.ready {
            (StatusCode::OK, "ready\n".to_owned())
        } else if snapshot.view.layout.is_some() {
            (StatusCode::SERVICE_UNAVAILABLE, "not ready: the node's store has failed; see its log\n".to_owned())
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {}\n", snapshot.view.not_ready_because()))
        }
    };
    Router::new().route("/livez", get(|| async { "alive\n" })).route("/readyz", get(ready))
}
