//! The page that monitoring asks for: `/metrics`, `/health`, `/ready`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::Metrics;
use crate::error::NodeError;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Which parts of a program are not ready, and why. Clones speak of the same program.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<Mutex<BTreeMap<String, String>>>);

impl Readiness {
    /// Ready, until a part says otherwise.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A part is not ready. The words are shown to whoever asks: no secrets, nothing from rows.
    pub fn waiting(&self, part: &str, why: &str) {
        self.parts().insert(part.to_owned(), why.to_owned());
    }

    /// A part is ready.
    pub fn ready(&self, part: &str) {
        self.parts().remove(part);
    }

    /// What is waited for, one line for each part; none when everything is ready.
    #[must_use]
    pub fn missing(&self) -> Option<String> {
        let parts = self.parts();
        let lines = parts.iter().map(|(part, why)| format!("{part}: {why}\n"));
        (!parts.is_empty()).then(|| lines.collect())
    }

    fn parts(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, String>> {
        // A map of words is whole after every step.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The page, until it is dropped.
pub struct Server {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Server {
    /// Where it listens; with port 0 asked for, the port that was given.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Clone)]
struct Shown {
    metrics: Arc<Metrics>,
    readiness: Readiness,
}

/// Serves the page at `listen`, in the present runtime.
///
/// # Errors
/// [`NodeError::Use`] when the address cannot be listened on.
pub async fn serve(
    listen: SocketAddr,
    metrics: Arc<Metrics>,
    readiness: Readiness,
) -> Result<Server, NodeError> {
    let refused = |error: std::io::Error| {
        NodeError::Use(format!(
            "metrics.listen: cannot listen on {listen} ({error}); choose another port, or `off`"
        ))
    };
    let listener = TcpListener::bind(listen).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    let pages = Router::new()
        .route("/metrics", get(figures))
        .route("/health", get(|| async { "ok\n" }))
        .route("/ready", get(ready))
        .with_state(Shown { metrics, readiness });
    let task = tokio::spawn(async move {
        // It ends with the program; a failed connection is the asker's affair.
        let _ = axum::serve(listener, pages).await;
    });
    Ok(Server { address, task })
}

async fn figures(State(shown): State<Shown>) -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, OPEN_METRICS)],
        shown.metrics.to_text(),
    )
}

async fn ready(State(shown): State<Shown>) -> (StatusCode, String) {
    match shown.readiness.missing() {
        None => (StatusCode::OK, "ready\n".to_owned()),
        Some(missing) => (StatusCode::SERVICE_UNAVAILABLE, missing),
    }
}
