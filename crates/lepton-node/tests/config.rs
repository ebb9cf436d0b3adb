//! Configuration files: what is read, what is refused, where secrets may be, and what `--check` finds.
#![expect(clippy::disallowed_methods, reason = "files are what is tested")]

use std::fs;
use std::path::Path;
use std::time::Duration;

use lepton_node::config::{
    CoordinatorConfig, FederationConfig, LogFormat, LogLevel, PartyConfig, SecretSource,
    reference_markdown,
};
use proptest::prelude::*;

const PARTY: &str = r#"
[identity]
folder = "identity"
[coordinator]
address = "coordinator.example.org:8443"
[tables.patients]
path = "patients.csv"
types = { postcode = "category" }
"#;

const COORDINATOR: &str = "[identity]\nfolder = \"identity\"\n";

fn party(more: &str) -> Result<PartyConfig, String> {
    let path = Path::new("/etc/lepton/party.toml");
    PartyConfig::parse(path, &format!("{PARTY}{more}")).map_err(|errors| errors.to_string())
}

fn coordinator(more: &str) -> Result<CoordinatorConfig, String> {
    let path = Path::new("/etc/lepton/coordinator.toml");
    CoordinatorConfig::parse(path, &format!("{COORDINATOR}{more}"))
        .map_err(|errors| errors.to_string())
}

#[test]
fn paths_are_taken_from_the_folder_of_the_file() {
    let config = party("").unwrap();
    let folder = Path::new("/etc/lepton");
    assert_eq!(config.identity.folder, folder.join("identity"));
    assert_eq!(config.tables["patients"].path, folder.join("patients.csv"));
    assert_eq!(config.tables["patients"].types.len(), 1);
    assert_eq!(config.policy, folder.join("policy.toml"));
    assert_eq!(config.store.url, "sqlite:/etc/lepton/lepton.db");
    let config = party("[store]\nurl = \"sqlite:/var/lib/l.db\"\n").unwrap();
    assert_eq!(config.store.url, "sqlite:/var/lib/l.db");
}

#[test]
fn defaults_are_the_documented_ones() {
    let config = party("").unwrap();
    assert_eq!(
        config.coordinator.address.to_string(),
        "coordinator.example.org:8443"
    );
    assert_eq!(config.metrics, Some("127.0.0.1:9464".parse().unwrap()));
    assert_eq!(config.log.level, LogLevel::Info);
    assert_eq!(config.log.format, LogFormat::Text);
    assert_eq!(config.patience.retry, Duration::from_secs(60));
    assert_eq!(config.limits.message_bytes, 148 << 20);
    let config = coordinator("[metrics]\nlisten = \"off\"\n").unwrap();
    assert_eq!(config.metrics, None);
    assert_eq!(config.listen.port(), 8443);
    assert_eq!(config.limits.connections, 2000);
}

#[test]
fn secrets_are_named_and_never_written() {
    let store = "[store]\nurl = \"postgres://lepton@db:5432/lepton\"\n";
    let config = coordinator(&format!("{store}password_env = \"DB_PASSWORD\"\n")).unwrap();
    let source = SecretSource::Environment("DB_PASSWORD".to_owned());
    assert_eq!(config.store.password, Some(source));
    for url in [
        "postgres://lepton:hunter2@db/lepton",
        "postgres://lepton@db/lepton?password=hunter2",
        "postgres://lepton@db/lepton?sslmode=require&password=hunter2",
    ] {
        let error = coordinator(&format!("[store]\nurl = \"{url}\"\n")).unwrap_err();
        assert!(error.contains("store.url holds a password"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
    let both = format!("{store}password_env = \"A\"\npassword_file = \"b\"\n");
    assert!(
        coordinator(&both)
            .unwrap_err()
            .contains("keep one of the two")
    );
    let proxy = PARTY.replace("[tables", "proxy = \"me:hunter2@proxy:3128\"\n[tables");
    let error = PartyConfig::parse(Path::new("p"), &proxy)
        .unwrap_err()
        .to_string();
    assert!(error.contains("no host and port"), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
}

#[test]
fn mistakes_are_named_with_their_line() {
    let cases = [
        (
            "[store]\nurl = \"mysql://x\"\n",
            "party.toml:10: store.url is no store",
        ),
        (
            "[metrics]\nlisten = \"9464\"\n",
            "party.toml:10: metrics.listen is no address",
        ),
        (
            "[audit]\nfoldr = \"x\"\n",
            "the nearest valid key is \"folder\"",
        ),
        (
            "[log]\nlevel = \"loud\"\n",
            "log.level = \"loud\" is not a choice",
        ),
        ("[tables.visits]\n", "tables.visits has no path"),
        ("[patience]\nretry_seconds = 0\n", "out of range"),
    ];
    for (more, expected) in cases {
        let error = party(more).unwrap_err();
        assert!(error.contains(expected), "{more:?}: {error}");
    }
    for address in [
        "http://host:1",
        "host",
        "host:0",
        "host:99999",
        "[::1:1",
        "a b:1",
        ":1",
    ] {
        let text = PARTY.replace("coordinator.example.org:8443", address);
        let error = PartyConfig::parse(Path::new("p"), &text)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("coordinator.address is no host and port"),
            "{error}"
        );
    }
    for address in ["[::1]:1", "10.0.0.1:65535", "a-b_c.d:8443"] {
        let text = PARTY.replace("coordinator.example.org:8443", address);
        let config = PartyConfig::parse(Path::new("p"), &text).unwrap();
        assert_eq!(config.coordinator.address.to_string(), address);
    }
}

/// A table of a vault is opened with its key, and with no other.
#[test]
fn a_check_opens_sealed_tables() {
    use lepton_table::{ReadOptions, Table};
    use lepton_vault::{KeyFile, Vault};
    let folder = tempfile::tempdir().unwrap();
    let root = KeyFile::create(&folder.path().join("root.key")).unwrap();
    KeyFile::create(&folder.path().join("other.key")).unwrap();
    let rows = Table::from_csv_bytes("t", b"a\n1\n", &ReadOptions::default()).unwrap();
    let mut vault = Vault::init(&folder.path().join("v"), &root).unwrap();
    vault
        .seal("t", &rows, "2026-01-01T00:00:00Z", None)
        .unwrap();
    let file = folder.path().join("party.toml");
    let found = |path: &str, more: &str| -> Vec<String> {
        let wanted = format!("path = \"{path}\"\n{more}");
        let text = PARTY.replace("path = \"patients.csv\"", &wanted);
        assert_ne!(text, PARTY);
        let config = PartyConfig::parse(&file, &text).unwrap();
        let found = config.check().into_iter().map(|found| found.key);
        found.filter(|key| key.starts_with("tables.")).collect()
    };
    assert!(found("v/t", "key_file = \"root.key\"").is_empty());
    assert_eq!(found("v/t", ""), ["tables.patients.path"]);
    assert_eq!(
        found("v/t", "key_file = \"other.key\""),
        ["tables.patients.path"]
    );
    assert_eq!(
        found("v/none", "key_file = \"root.key\""),
        ["tables.patients.path"]
    );
    assert_eq!(
        found("root.key", "key_file = \"root.key\""),
        ["tables.patients.key_file"]
    );
}

#[cfg(unix)]
#[test]
fn a_check_finds_what_would_stop_the_daemon() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("party.toml");
    let more = "[store]\nurl = \"postgres://lepton@db/lepton\"\npassword_file = \"password\"\n";
    fs::write(&file, format!("{PARTY}{more}")).unwrap();
    let config = PartyConfig::load(&file).unwrap();
    let keys = |config: &PartyConfig| -> Vec<String> {
        config.check().into_iter().map(|found| found.key).collect()
    };
    let all = [
        "identity.folder",
        "store.password",
        "tables.patients.path",
        "policy.file",
    ];
    assert_eq!(keys(&config), all);
    fs::create_dir(folder.path().join("identity")).unwrap();
    fs::write(folder.path().join("patients.csv"), "a\n1\n").unwrap();
    let policy = "[submit]\nroles = [\"scientist\"]\n[tables.patients]\n[tables.visits]\n";
    fs::write(folder.path().join("policy.toml"), policy).unwrap();
    let password = folder.path().join("password");
    fs::write(&password, "secret\n").unwrap();
    fs::set_permissions(&password, fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(
        keys(&config),
        ["store.password", "tables"],
        "readable by others, and a table too many"
    );
    fs::set_permissions(&password, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(
        folder.path().join("policy.toml"),
        policy.replace("[tables.visits]\n", ""),
    )
    .unwrap();
    assert_eq!(config.check(), []);
    let secret = config.store.password.unwrap().read().unwrap();
    assert_eq!(secret.as_str(), "secret");
    fs::write(&password, "\n").unwrap();
    assert!(
        SecretSource::File(password).read().is_err(),
        "an empty secret is none"
    );
}

#[test]
fn the_reference_is_the_table_of_fields_and_its_examples_are_valid() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
    let text = fs::read_to_string(path).unwrap();
    assert_eq!(
        text,
        reference_markdown(),
        "write it anew with the example configuration_reference"
    );
    let examples: Vec<&str> = text
        .split("```toml\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    assert_eq!(examples.len(), 3);
    PartyConfig::parse(Path::new("party.toml"), examples[0]).unwrap();
    CoordinatorConfig::parse(Path::new("coordinator.toml"), examples[1]).unwrap();
    FederationConfig::parse(Path::new("federation.toml"), examples[2]).unwrap();
}

proptest! {
    #[test]
    fn no_text_breaks_the_parser(at in 0..PARTY.len(), with in "\\PC{0,8}", cut in 0..40_usize) {
        let text = format!("{}{with}{}", &PARTY[..at], &PARTY[(at + cut).min(PARTY.len())..]);
        let _ = PartyConfig::parse(Path::new("party.toml"), &text);
        let _ = CoordinatorConfig::parse(Path::new("coordinator.toml"), &text);
    }
}
