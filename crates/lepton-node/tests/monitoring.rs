//! Metrics, health, readiness and logs, as monitoring sees them.
#![expect(clippy::unwrap_used, reason = "helpers outside of test functions")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};

use lepton_node::config::{LogConfig, LogFormat, LogLevel};
use lepton_node::logging::subscriber;
use lepton_node::metrics::{JobState, Metrics, Readiness, Way, serve};

fn ask(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn pages_show_figures_health_and_readiness() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let metrics = Arc::new(Metrics::new("party", "1.2.3"));
    let readiness = Readiness::new();
    readiness.waiting("coordinator", "not connected");
    let local = "127.0.0.1:0".parse().unwrap();
    let server = runtime
        .block_on(serve(local, Arc::clone(&metrics), readiness.clone()))
        .unwrap();
    let address = server.address();
    assert!(ask(address, "/health").starts_with("HTTP/1.1 200"));
    let waiting = ask(address, "/ready");
    assert!(waiting.starts_with("HTTP/1.1 503"), "{waiting}");
    assert!(waiting.contains("coordinator: not connected"), "{waiting}");
    readiness.ready("coordinator");
    assert!(ask(address, "/ready").starts_with("HTTP/1.1 200"));
    metrics.message(Way::Sent, 1000);
    metrics.message(Way::Sent, 500);
    let page = ask(address, "/metrics");
    assert!(
        page.contains("content-type: application/openmetrics-text; version=1.0.0"),
        "{page}"
    );
    assert!(
        page.contains("lepton_messages_size_bytes_total{direction=\"Sent\"} 1500"),
        "{page}"
    );
    assert!(page.trim_end().ends_with("# EOF"), "{page}");
    assert!(ask(address, "/other").starts_with("HTTP/1.1 404"));
    let taken = runtime.block_on(serve(address, metrics, readiness));
    assert!(
        taken
            .err()
            .unwrap()
            .to_string()
            .contains("choose another port")
    );
    drop(server);
}

#[test]
fn figures_count_what_happened() {
    let metrics = Metrics::new("coordinator", "1.2.3");
    metrics.peers(3);
    metrics.connection_refused();
    metrics.message(Way::Received, 7);
    metrics.job(JobState::Started);
    metrics.job(JobState::Started);
    metrics.job(JobState::Finished);
    metrics.job(JobState::Refused);
    metrics.round();
    metrics.round_lost();
    metrics.round_took_at_the_coordinator(0.02);
    metrics.certificate_ends(1_800_000_000);
    metrics.store_restores(2);
    let text = metrics.to_text();
    for line in [
        "lepton_build_info{program=\"coordinator\",version=\"1.2.3\"} 1",
        "lepton_peers 3",
        "lepton_connections_refused_total 1",
        "lepton_messages_total{direction=\"Received\"} 1",
        "lepton_jobs_total{state=\"Started\"} 2",
        "lepton_jobs_running 1",
        "lepton_rounds_total 1",
        "lepton_rounds_lost_total 1",
        "lepton_round_duration_seconds_count 1",
        "lepton_certificate_end_seconds 1800000000",
        "lepton_store_restores 2",
    ] {
        assert!(
            text.lines().any(|have| have == line),
            "{line} is not in\n{text}"
        );
    }
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn logged(level: LogLevel, format: LogFormat) -> String {
    let lines = Lines::default();
    let out = lines.clone();
    let logs = subscriber(LogConfig { level, format }, move || out.clone());
    tracing::subscriber::with_default(logs, || {
        tracing::info!(target: "lepton_node::test", job = "heart", round = 3, "round done");
        tracing::debug!(target: "lepton_node::test", "details");
        tracing::info!(target: "sqlx::query", "SELECT 1");
        tracing::warn!(target: "hyper", "odd");
    });
    let bytes = lines.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn logs_are_lines_for_people_or_json_and_libraries_are_quiet() {
    let text = logged(LogLevel::Info, LogFormat::Text);
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(
        text.contains("round done") && text.contains("round=3"),
        "{text}"
    );
    assert!(!text.contains('\u{1b}'), "{text}");
    let json = logged(LogLevel::Debug, LogFormat::Json);
    let lines: Vec<serde_json::Value> = json
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 3, "{json}");
    assert_eq!(lines[0]["message"], "round done");
    assert_eq!(lines[0]["job"], "heart");
    assert_eq!(lines[0]["level"], "INFO");
    assert_eq!(logged(LogLevel::Error, LogFormat::Text), "");
}
