//! `lepton vault`: tables that jobs read where they lie.

use std::path::{Path, PathBuf};

use crate::support::{Desk, Done, SMALL, table};

/// Seals `data.csv` into a new vault.
fn seal(desk: &Desk) {
    ok(desk, &["vault", "init", "v", "--key-file", "root.key"]);
    ok(
        desk,
        &[
            "vault",
            "seal",
            "data.csv",
            "--vault",
            "v",
            "--key-file",
            "root.key",
        ],
    );
}

/// A small job whose table is sealed, and the file of a grant.
fn sealed() -> Desk {
    let desk = Desk::small();
    seal(&desk);
    desk
}

fn ok(desk: &Desk, arguments: &[&str]) -> Done {
    let done = desk.call(arguments);
    assert_eq!(done.code, Some(0), "{arguments:?}: {}", done.stderr);
    done
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

#[test]
fn a_job_reads_a_sealed_table_as_it_reads_the_file() {
    let desk = sealed();
    let columns = desk.read("data.csv");
    let columns = columns.lines().next().unwrap();
    ok(
        &desk,
        &[
            "vault",
            "grant",
            "v/data",
            "--key-file",
            "root.key",
            "--to",
            "job",
            "--columns",
            columns,
            "--out",
            "job.key",
        ],
    );
    let metrics = |arguments: &[&str]| {
        let all = [
            &["run", "job.toml", "--json", "--set", "job.insecure_seed=1"],
            arguments,
        ]
        .concat();
        let report: serde_json::Value = serde_json::from_str(&ok(&desk, &all).stdout).unwrap();
        report["metrics"].clone()
    };
    let plain = metrics(&["--run-dir", "a"]);
    assert_eq!(
        plain,
        metrics(&[
            "--run-dir",
            "b",
            "--data",
            "v/data",
            "--vault-key",
            "root.key"
        ])
    );
    assert_eq!(
        plain,
        metrics(&[
            "--run-dir",
            "c",
            "--set",
            "data.table=v/data",
            "--vault-key",
            "job.key"
        ])
    );
    let predicted =
        |more: &[&str]| ok(&desk, &[&["predict", "--model", "a"], more].concat()).stdout;
    let sealed = predicted(&["v/data", "--vault-key", "job.key"]);
    assert_eq!(sealed, predicted(&["data.csv"]));
}

#[test]
fn a_job_gets_granted_columns_only() {
    let desk = sealed();
    ok(
        &desk,
        &[
            "vault",
            "grant",
            "v/data",
            "--key-file",
            "root.key",
            "--to",
            "job",
            "--columns",
            "y",
            "--out",
            "job.key",
        ],
    );
    let run = [
        "run",
        "job.toml",
        "--data",
        "v/data",
        "--vault-key",
        "job.key",
        "--set",
        "data.features=[\"a\"]",
    ];
    let done = desk.call(&run);
    assert_ne!(done.code, Some(0));
    assert!(
        done.stderr.contains("`a`") || done.stderr.contains("\"a\""),
        "{}",
        done.stderr
    );
    let no_key = desk.call(&["run", "job.toml", "--data", "v/data"]);
    assert_eq!(no_key.code, Some(2), "{}", no_key.stderr);
    assert!(no_key.stderr.contains("--vault-key"));
    ok(
        &desk,
        &[
            "vault",
            "revoke",
            "v/data",
            "--key-file",
            "root.key",
            "--from",
            "job",
            "--reencrypt",
        ],
    );
    let revoked = desk.call(&run);
    assert_eq!(revoked.code, Some(3), "{}", revoked.stderr);
}

#[test]
fn a_destroyed_table_is_certified() {
    let desk = sealed();
    let unsure = desk.call(&["vault", "shred", "v/data", "--key-file", "root.key"]);
    assert_eq!(unsure.code, Some(2));
    ok(
        &desk,
        &[
            "vault",
            "shred",
            "v/data",
            "--key-file",
            "root.key",
            "--yes",
        ],
    );
    let certificate = files(&desk.path("v")).into_iter().find(|path| {
        path.extension().is_some_and(|end| end == "json")
            && path.display().to_string().contains("destroyed")
    });
    let certificate = certificate.unwrap().display().to_string();
    assert!(
        ok(&desk, &["verify", &certificate])
            .stdout
            .contains("was destroyed")
    );
    assert_eq!(
        desk.call(&["vault", "show", "v/data", "--key-file", "root.key"])
            .code,
        Some(2)
    );
}

fn said(desk: &Desk, arguments: &str) -> Done {
    desk.call(&arguments.split(' ').collect::<Vec<_>>())
}

/// VA-17.
#[test]
fn old_versions_are_dropped() {
    let desk = sealed();
    desk.write("more.jsonl", "{\"a\": 1}\n{\"a\": 2}\n");
    said(
        &desk,
        "vault seal more.jsonl --name data --vault v --key-file root.key",
    )
    .fine();
    let before = files(&desk.path("v/data")).len();
    said(&desk, "vault prune v/data --key-file root.key").refused(2, &["--yes"]);
    said(
        &desk,
        "vault prune v/data --key-file root.key --keep 0 --yes",
    )
    .refused(2, &["shred"]);
    let done = said(&desk, "vault prune v/data --key-file root.key --yes").fine();
    assert!(
        done.stdout.contains("dropped the versions 1."),
        "{}",
        done.stdout
    );
    assert_eq!(files(&desk.path("v/data")).len(), before - 2);
    assert_eq!(
        said(&desk, "vault open v/data --key-file root.key")
            .fine()
            .stdout,
        "a\n1\n2\n"
    );
    let again = said(&desk, "vault prune v/data --key-file root.key --yes").fine();
    assert!(
        again.stdout.contains("no older versions"),
        "{}",
        again.stdout
    );
}

/// VA-02: a key on a token opens a vault that was made under a key file. SoftHSM2, where `LEPTON_TEST_SOFTHSM` names its module; `./test` installs it.
#[test]
fn a_token_is_added_as_a_root() {
    let Ok(module) = std::env::var("LEPTON_TEST_SOFTHSM") else {
        eprintln!("PKCS#11: not run, LEPTON_TEST_SOFTHSM is not set");
        return;
    };
    let desk = sealed();
    std::fs::create_dir(desk.path("tokens")).unwrap();
    let settings = format!("directories.tokendir = {}\n", desk.path("tokens").display());
    desk.write("softhsm2.conf", settings);
    desk.write("aes.bin", [7; 32]);
    secret(&desk, "pin", "123456\n");
    let tool = |arguments: &str| {
        let done = std::process::Command::new("softhsm2-util")
            .args(arguments.split(' '))
            .current_dir(desk.path("."))
            .env("SOFTHSM2_CONF", desk.path("softhsm2.conf"))
            .output()
            .unwrap();
        assert!(done.status.success(), "{done:?}");
    };
    tool("--init-token --free --label owner --so-pin 0000 --pin 123456");
    tool("--import aes.bin --aes --token owner --label vault --id 01 --pin 123456");
    let call = |arguments: &str| {
        let mut command = desk.command(&arguments.split(' ').collect::<Vec<_>>());
        command.env("SOFTHSM2_CONF", desk.path("softhsm2.conf"));
        Done::of(command.output().unwrap())
    };
    let token = format!("--pkcs11 {module} --token owner --token-key vault --pin-file pin");
    let open = format!("vault open v/data {token}");
    assert_ne!(call(&open).code, Some(0), "it is no root yet");
    let add = format!(
        "vault rotate v --key-file root.key {}",
        token.replace("--", "--add-")
    );
    call(&add).fine();
    assert_eq!(call(&open).fine().stdout, desk.read("data.csv"));
    let incomplete = format!("vault rotate v --key-file root.key --add-pkcs11 {module}");
    assert_eq!(call(&incomplete).code, Some(2));
}

fn secret(desk: &Desk, name: &str, text: &str) {
    desk.write(name, text);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(desk.path(name), mode).unwrap();
    }
}

#[test]
fn the_owner_sees_rows_and_descriptions() {
    let desk = sealed();
    let root = ["--key-file", "root.key"];
    let call = |verb: &str, more: &[&str]| {
        let all = [&["vault", verb, "v/data"], root.as_slice(), more].concat();
        ok(&desk, &all).stdout
    };
    assert_eq!(call("open", &[]), desk.read("data.csv"));
    assert_eq!(call("head", &["--rows", "2"]).lines().count(), 3);
    let described: serde_json::Value =
        serde_json::from_str(&call("describe", &["--json"])).unwrap();
    assert_eq!(described["rows"], 60);
    let shown: serde_json::Value =
        serde_json::from_str(&call("show", &["--json", "--check"])).unwrap();
    assert_eq!(
        (&shown["rows"], &shown["checked"]),
        (&60.into(), &true.into())
    );
    let listed: serde_json::Value =
        serde_json::from_str(&ok(&desk, &["vault", "ls", "v", "--json"]).stdout).unwrap();
    assert_eq!(listed["tables"][0]["name"], "data");
}

/// Everything that a run on a sealed table writes is searched for a planted cell, which the report of a plain run would not show either.
#[test]
fn a_run_writes_no_cell() {
    const MARKER: &str = "MARKER-51c7e2";
    let desk = Desk::small();
    let plain = table(60)
        .lines()
        .enumerate()
        .map(|(row, line)| {
            let cell = if row == 0 { "note" } else { MARKER };
            format!("{line},{cell}\n")
        })
        .collect::<String>();
    desk.write("data.csv", &plain);
    seal(&desk);
    std::fs::remove_file(desk.path("data.csv")).unwrap();
    // Of a column that is used, the model names the categories.
    let job = SMALL.replace(
        "table = \"data.csv\"",
        "table = \"v/data\"\nexclude = [\"note\"]",
    );
    desk.write("job.toml", job);
    let temporary = desk.path("tmp");
    std::fs::create_dir(&temporary).unwrap();
    let run = desk
        .command(&["run", "job.toml", "--vault-key", "root.key"])
        .env("TMPDIR", &temporary)
        .output()
        .unwrap();
    assert!(
        run.status.success(),
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );
    let all = files(&desk.path(""));
    assert!(all.iter().any(|path| path.ends_with("report.html")));
    for path in all {
        let bytes = std::fs::read(&path).unwrap();
        let found = bytes
            .windows(MARKER.len())
            .any(|window| window == MARKER.as_bytes());
        assert!(!found, "{}", path.display());
    }
}

#[cfg(unix)]
#[test]
fn a_full_disk_leaves_the_vault_as_it_was() {
    let desk = sealed();
    desk.write("large.csv", table(200_000));
    let shell = format!(
        "ulimit -f 64; exec {} vault seal large.csv --name data --vault v --key-file root.key",
        crate::support::LEPTON
    );
    let done = std::process::Command::new("sh")
        .args(["-c", &shell])
        .current_dir(desk.path(""))
        .output()
        .unwrap();
    assert_eq!(
        done.status.code(),
        Some(1),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    assert!(
        String::from_utf8_lossy(&done.stderr).contains("space"),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    let shown = ok(
        &desk,
        &[
            "vault",
            "show",
            "v/data",
            "--key-file",
            "root.key",
            "--check",
        ],
    )
    .stdout;
    assert!(
        shown.contains("version 1") && shown.contains("60 rows"),
        "{shown}"
    );
}

#[test]
fn wrong_use_says_what_to_do() {
    let desk = sealed();
    for (arguments, words) in [
        (
            &["vault", "seal", "data.csv", "--vault", "v"][..],
            "--key-file, --passphrase-file or --pkcs11",
        ),
        (
            &["vault", "show", "data.csv", "--key-file", "root.key"],
            "VAULT/TABLE",
        ),
        (&["vault", "ls", "nowhere"], "lepton vault init"),
        (
            &[
                "vault",
                "seal",
                "data.csv",
                "--vault",
                "v",
                "--key-file",
                "root.key",
                "--type",
                "a=text",
            ],
            "COLUMN=number",
        ),
        (
            &["vault", "init", "v", "--key-file", "root.key"],
            "name a new one",
        ),
    ] {
        let done = desk.call(arguments);
        assert_eq!(done.code, Some(2), "{arguments:?}: {}", done.stderr);
        assert!(
            done.stderr.contains(words),
            "{arguments:?}: {}",
            done.stderr
        );
    }
}
