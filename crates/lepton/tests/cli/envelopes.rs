//! `lepton encrypt`, `lepton decrypt` and `lepton vault key`: what comes back, what is refused, what is left on the disk (EV-15, EV-16, EV-18).

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Output, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Desk, Done, LEPTON};

/// Bytes on the disk of one chunk.
const SEALED: usize = (64 << 10) + 16;
/// What a plaintext holds, and nothing on the disk may.
const MARKER: &[u8] = b"marker-of-the-plaintext-7f3a9c";

/// A desk with a passphrase, an AES key and a pair of X25519.
fn desk() -> Desk {
    let desk = Desk::small();
    secret(&desk, "pw", b"correct horse\n");
    secret(&desk, "aes.key", &(128..160).collect::<Vec<u8>>());
    let made = "vault key generate --kind x25519 --out me.key --public me.pem --passphrase-file pw";
    said(&desk, made).fine();
    desk
}

/// Calls the command with arguments that hold no spaces.
fn said(desk: &Desk, arguments: &str) -> Done {
    desk.call(&arguments.split(' ').collect::<Vec<_>>())
}

fn secret(desk: &Desk, name: &str, bytes: &[u8]) {
    desk.write(name, bytes);
    let mode = fs::Permissions::from_mode(0o600);
    fs::set_permissions(desk.path(name), mode).unwrap();
}

/// Plaintext that repeats the marker.
fn marked(length: usize) -> Vec<u8> {
    MARKER.iter().copied().cycle().take(length).collect()
}

fn bytes(desk: &Desk, name: &str) -> Vec<u8> {
    fs::read(desk.path(name)).unwrap()
}

fn piped(desk: &Desk, arguments: &[&str], input: &[u8]) -> Output {
    let mut child = desk
        .command(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let feeding = std::thread::spawn(move || {
        // The command may stop reading.
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().unwrap();
    feeding.join().unwrap();
    output
}

fn names(desk: &Desk) -> Vec<String> {
    desk.list(".")
}

#[test]
fn files_and_pipes_come_back() {
    let desk = desk();
    for length in [0, 5, 65_536, 65_537, 300_000] {
        desk.write("plain", marked(length));
        let to =
            "encrypt --recipient me.pem --key-file aes.key --in plain --out sealed --force --json";
        let done = said(&desk, to).fine().json();
        assert_eq!(
            done["format"],
            if length > 65_536 { "stream" } else { "jwe" }
        );
        assert_eq!(done["bytes"], length);
        let mode = fs::metadata(desk.path("sealed"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        for key in [
            ["--key-file", "aes.key"].as_slice(),
            &["--key-file", "me.key", "--key-passphrase-file", "pw"],
        ] {
            let from = ["decrypt", "--in", "sealed", "--out", "back", "--force"];
            desk.call(&[&from, key].concat()).fine();
            assert!(bytes(&desk, "back") == marked(length), "{length}");
        }
        let sealed = piped(
            &desk,
            &["encrypt", "--recipient", "me.pem"],
            &marked(length),
        );
        assert!(sealed.status.success());
        let back = piped(
            &desk,
            &[
                "decrypt",
                "--key-file",
                "me.key",
                "--key-passphrase-file",
                "pw",
            ],
            &sealed.stdout,
        );
        assert!(
            back.status.success() && back.stdout == marked(length),
            "{length}"
        );
    }
}

#[test]
fn passphrases_come_back() {
    let desk = desk();
    secret(&desk, "wrong", b"incorrect horse\n");
    for form in [
        ["--format", "jwe"].as_slice(),
        &["--format", "stream"],
        &["--portable"],
    ] {
        let sealed = piped(
            &desk,
            &[&["encrypt", "--passphrase-file", "pw"], form].concat(),
            b"value",
        );
        assert!(
            sealed.status.success(),
            "{}",
            String::from_utf8_lossy(&sealed.stderr)
        );
        let back = piped(
            &desk,
            &["decrypt", "--passphrase-file", "pw"],
            &sealed.stdout,
        );
        assert_eq!(back.stdout, b"value");
        let wrong = piped(
            &desk,
            &["decrypt", "--passphrase-file", "wrong"],
            &sealed.stdout,
        );
        assert_eq!(wrong.status.code(), Some(1));
        assert_eq!(wrong.stdout, b"");
    }
}

/// EV-15: altered, cut, extended or for another key, nothing appears beside what was there.
#[test]
fn no_partial_file_is_left() {
    let desk = desk();
    desk.write("plain", marked(3 * 65_536 + 10));
    said(&desk, "encrypt --key-file aes.key --in plain --out sealed").fine();
    let sealed = bytes(&desk, "sealed");
    secret(&desk, "other.key", &[200; 16]);
    desk.write("bad", b"");
    let before = names(&desk);
    let mut flipped = sealed.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let last = sealed.len() - 26;
    let bad = [
        flipped,
        sealed[..last].to_vec(),
        sealed[..last - SEALED].to_vec(),
        [sealed.as_slice(), b"x"].concat(),
        sealed[..10].to_vec(),
        Vec::new(),
    ];
    for bad in bad {
        desk.write("bad", bad);
        said(&desk, "decrypt --key-file aes.key --in bad --out back").refused(1, &[]);
        assert_eq!(names(&desk), before);
    }
    said(&desk, "decrypt --key-file other.key --in sealed --out back").refused(1, &[]);
    assert_eq!(names(&desk), before);
    // A target that exists stays as it was, with --force too.
    desk.write("back", b"old");
    said(&desk, "decrypt --key-file aes.key --in sealed --out back").refused(2, &["--force"]);
    said(
        &desk,
        "decrypt --key-file other.key --in sealed --out back --force",
    )
    .refused(1, &[]);
    assert_eq!(bytes(&desk, "back"), b"old");
}

/// EV-15 on a disk that is full, which a limit on files stands for.
#[test]
fn a_full_disk_leaves_nothing() {
    let desk = desk();
    desk.write("plain", marked(300_000));
    said(&desk, "encrypt --key-file aes.key --in plain --out sealed").fine();
    let before = names(&desk);
    for arguments in [
        "encrypt --recipient me.pem --in plain --out full",
        "decrypt --key-file aes.key --in sealed --out full",
    ] {
        let script = format!("ulimit -f 100; exec {LEPTON} {arguments}");
        let mut command = std::process::Command::new("sh");
        command.args(["-c", &script]).current_dir(desk.path("."));
        Done::of(command.output().unwrap()).refused(1, &["full"]);
        assert_eq!(names(&desk), before);
    }
}

/// EV-15: what a pipe got is authentic, and the exit code says that it is not the whole.
#[test]
fn a_pipe_gets_authentic_chunks_only() {
    let desk = desk();
    let plain = marked(3 * 65_536 + 10);
    let sealed = piped(&desk, &["encrypt", "--key-file", "aes.key"], &plain).stdout;
    let start = sealed.len() - 3 * SEALED - 26;
    for (at, whole_chunks) in [
        (start + 5, 0),
        (start + SEALED + 5, 1),
        (start + 2 * SEALED + 5, 2),
        (sealed.len() - 1, 3),
    ] {
        let mut bad = sealed.clone();
        bad[at] ^= 1;
        let done = piped(&desk, &["decrypt", "--key-file", "aes.key"], &bad);
        assert_eq!(done.status.code(), Some(1));
        assert!(done.stdout == plain[..whole_chunks * 65_536], "{at}");
        let told = String::from_utf8(done.stderr).unwrap();
        assert!(
            whole_chunks == 0 || told.contains("Discard what was written"),
            "{told}"
        );
    }
}

/// Killed in the middle, a decryption leaves no plaintext and no name behind.
#[test]
fn a_kill_leaves_nothing() {
    let desk = desk();
    let plain = marked(20 << 20);
    let sealed = piped(&desk, &["encrypt", "--key-file", "aes.key"], &plain).stdout;
    let before = names(&desk);
    let mut child = decrypting(&desk);
    let mut stdin = child.stdin.take().unwrap();
    // It has most of the stream, and waits for the rest.
    stdin.write_all(&sealed[..sealed.len() - 100]).unwrap();
    stdin.flush().unwrap();
    std::thread::sleep(Duration::from_millis(200));
    child.kill().unwrap();
    child.wait().unwrap();
    let left: Vec<String> = names(&desk)
        .into_iter()
        .filter(|name| !before.contains(name))
        .collect();
    // Where the file system has no files without a name, a hidden one of mode 0600 is left.
    assert!(
        left.iter().all(|name| name.ends_with(".partial")),
        "{left:?}"
    );
}

fn decrypting(desk: &Desk) -> Child {
    desk.command(&["decrypt", "--key-file", "aes.key", "--out", "back"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// EV-16: no file but the plaintext's own ever holds any of it: looked for in every file that the command has open while it works, and in all that it leaves.
#[test]
fn the_marker_is_nowhere_on_the_disk() {
    let desk = desk();
    let plain = marked(4 << 20);
    let mut child = desk
        .command(&["encrypt", "--recipient", "me.pem", "--out", "sealed"])
        .env("TMPDIR", desk.path("."))
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&plain).unwrap();
    stdin.flush().unwrap();
    // The command waits for more: what it has written by now lies in files that it holds open, named or not.
    let written = wait_for_output(child.id());
    assert!(written > 1 << 20, "{written} bytes were looked through");
    drop(stdin);
    assert!(child.wait().unwrap().success());
    for name in names(&desk) {
        if desk.path(&name).is_file() {
            assert!(!holds_marker(&bytes(&desk, &name)), "{name}");
        }
    }
    assert!(holds_marker(&plain));
}

/// Looks through the regular files that a process has open, until they hold a megabyte.
fn wait_for_output(process: u32) -> usize {
    let folder = format!("/proc/{process}/fd");
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        let mut seen = 0;
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            if fs::metadata(entry.path()).is_ok_and(|about| about.is_file()) {
                let mut held = Vec::new();
                let file = fs::File::open(entry.path());
                let _ = file.and_then(|mut file| file.read_to_end(&mut held));
                assert!(!holds_marker(&held), "{:?}", fs::read_link(entry.path()));
                seen += held.len();
            }
        }
        if seen > 1 << 20 || Instant::now() > end {
            return seen;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn holds_marker(bytes: &[u8]) -> bool {
    bytes.windows(MARKER.len()).any(|window| window == MARKER)
}

#[test]
fn wrong_use_is_said() {
    let desk = desk();
    desk.write("open.key", [200; 32]);
    desk.write("plain", b"value");
    said(&desk, "encrypt --in plain").refused(2, &["to whom?"]);
    said(&desk, "encrypt --key-file open.key --in plain").refused(2, &["others may read"]);
    said(&desk, "encrypt --recipient me.key --in plain").refused(1, &["me.key", "private key"]);
    said(&desk, "encrypt --recipient nobody.pem --in plain").refused(1, &["nobody.pem"]);
    said(&desk, "encrypt --recipient me.pem --in nothing").refused(1, &["nothing"]);
    said(
        &desk,
        "encrypt --key-file me.key --key-passphrase-file pw --in plain",
    )
    .refused(2, &["--recipient"]);
    said(&desk, "decrypt --key-file me.key --in plain").refused(2, &["encrypted", "passphrase"]);
    said(&desk, "decrypt --key-file aes.key --in plain")
        .refused(1, &["neither JSON nor five parts"]);
    let both = said(
        &desk,
        "encrypt --recipient me.pem --passphrase-file pw --in plain",
    );
    assert_eq!(both.code, Some(2));
    let plain_key = said(&desk, "vault key generate --kind p256 --out x.key");
    assert_eq!(
        plain_key.code,
        Some(2),
        "an unencrypted key needs the flag that says so"
    );
    assert!(!Path::new(&desk.path("x.key")).exists());
}

#[test]
fn keys_are_kept_split_and_recovered() {
    let desk = desk();
    let thumbprint = |file: &str| {
        let show = format!("vault key show {file} --key-passphrase-file pw --json");
        let shown = said(&desk, &show).fine().json();
        shown[0]["thumbprint"].as_str().unwrap().to_owned()
    };
    assert_eq!(thumbprint("me.key"), thumbprint("me.pem"));
    said(&desk, "vault key export me.key --key-passphrase-file pw --private --format jwk --passphrase-file pw --out me.jwe")
    .fine();
    said(
        &desk,
        "vault key import me.jwe --key-passphrase-file pw --passphrase-file pw --out again.key",
    )
    .fine();
    assert_eq!(thumbprint("again.key"), thumbprint("me.pem"));
    said(
        &desk,
        "vault key split me.key --key-passphrase-file pw --threshold 2 --shares 3 --out shares",
    )
    .fine();
    assert_eq!(
        desk.list("shares"),
        ["share-1.json", "share-2.json", "share-3.json"]
    );
    said(&desk, "vault key recover shares/share-3.json shares/share-1.json --out back.key --passphrase-file pw")
    .fine();
    assert_eq!(thumbprint("back.key"), thumbprint("me.pem"));
    said(
        &desk,
        "vault key recover shares/share-3.json --out no.key --passphrase-file pw",
    )
    .refused(1, &["2 are needed"]);
    let share = desk
        .read("shares/share-2.json")
        .replace("\"number\":2", "\"number\":1");
    secret(&desk, "shares/share-2.json", share.as_bytes());
    said(&desk, "vault key recover shares/share-2.json shares/share-1.json --out no.key --passphrase-file pw")
    .refused(1, &["share-2.json", "damaged"]);
    assert!(!desk.path("no.key").exists());
    for file in ["me.key", "me.jwe", "back.key"] {
        assert_eq!(
            fs::metadata(desk.path(file)).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
}
