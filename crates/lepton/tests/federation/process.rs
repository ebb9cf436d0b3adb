//! Processes: commands that end in time, and daemons that are killed and started again.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) const LEPTON: &str = env!("CARGO_BIN_EXE_lepton");

/// Longest time that anything may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// What a command left.
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Done {
    /// Done, and what it printed.
    #[track_caller]
    pub(crate) fn fine(self) -> Self {
        assert_eq!(self.code, Some(0), "{}{}", self.stdout, self.stderr);
        self
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap()
    }
}

/// A command under way, its output in files: nothing can fill up.
pub(crate) struct Call {
    child: Child,
    out: tempfile::NamedTempFile,
    err: tempfile::NamedTempFile,
}

impl Call {
    pub(crate) fn start(folder: &Path, arguments: &[&str]) -> Self {
        Self::of(folder, Command::new(LEPTON).args(arguments))
    }

    /// In a network namespace.
    pub(crate) fn inside(folder: &Path, namespace: &str, arguments: &[&str]) -> Self {
        let inside = ["netns", "exec", namespace, LEPTON];
        Self::of(folder, Command::new("ip").args(inside).args(arguments))
    }

    fn of(folder: &Path, command: &mut Command) -> Self {
        let (out, err) = (file(), file());
        let child = command
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(out.reopen().unwrap())
            .stderr(err.reopen().unwrap())
            .spawn()
            .unwrap();
        Self { child, out, err }
    }

    /// Waits for its end, but not for ever.
    pub(crate) fn end(mut self) -> Done {
        let ended = within(PATIENCE, || self.child.try_wait().unwrap());
        let text = |file: &tempfile::NamedTempFile| std::fs::read_to_string(file.path()).unwrap();
        let done = Done {
            code: ended.and_then(|status| status.code()),
            stdout: text(&self.out),
            stderr: text(&self.err),
        };
        assert!(ended.is_some(), "it does not end: {}", done.stderr);
        assert!(!done.stderr.contains("panicked"), "{}", done.stderr);
        done
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

fn file() -> tempfile::NamedTempFile {
    tempfile::NamedTempFile::new().unwrap()
}

/// SIGKILL, and its grave.
fn end(child: &mut Child) {
    // It may have ended by itself.
    let _ = child.kill();
    let _ = child.wait();
}

/// Asks again and again until there is an answer or the time is over.
pub(crate) fn within<T>(time: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if begun.elapsed() > time {
            return None;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A member's program: killed and started as often as a test likes, its log in one file.
pub(crate) struct Daemon {
    folder: PathBuf,
    arguments: Vec<String>,
    log: PathBuf,
    /// Where the log of the present start begins.
    begins: u64,
    child: Option<Child>,
}

impl Daemon {
    /// Not started yet. In a network namespace where one is given.
    pub(crate) fn new(folder: &Path, role: &str, namespace: Option<&str>) -> Self {
        let inside = namespace.map_or_else(Vec::new, |name| {
            ["ip", "netns", "exec", name].map(str::to_owned).to_vec()
        });
        let config = format!("{role}.toml");
        let own = [LEPTON, role, "run", &config].map(str::to_owned);
        Self {
            arguments: [inside, own.to_vec()].concat(),
            log: folder.join("daemon.log"),
            folder: folder.to_owned(),
            begins: 0,
            child: None,
        }
    }

    pub(crate) fn start(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        let log = OpenOptions::new().create(true).append(true).open(&self.log);
        let log: File = log.unwrap();
        self.begins = log.metadata().unwrap().len();
        let child = Command::new(&self.arguments[0])
            .args(&self.arguments[1..])
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn();
        self.child = Some(child.unwrap());
    }

    /// SIGKILL: nothing that it had not written to the disk is left.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            end(&mut child);
        }
    }

    /// SIGTERM, as a service manager ends it.
    pub(crate) fn stop(&mut self) {
        let mut child = self.child.take().unwrap();
        let pid = child.id().to_string();
        assert!(Command::new("kill").arg(pid).status().unwrap().success());
        let ended = within(PATIENCE, || child.try_wait().unwrap());
        let code = ended.and_then(|status| status.code());
        assert_eq!(code, Some(0), "{}", self.said());
    }

    /// The network namespace that it is in.
    pub(crate) fn network(&self) -> PathBuf {
        let pid = self.child.as_ref().unwrap().id();
        std::fs::read_link(format!("/proc/{pid}/ns/net")).unwrap()
    }

    /// What it has said since it was started last.
    pub(crate) fn said(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        let from = usize::try_from(self.begins).unwrap().min(bytes.len());
        String::from_utf8_lossy(&bytes[from..]).into_owned()
    }

    /// Waits for a line of the log that holds `text`, and gives what follows `text` in it.
    pub(crate) fn says(&mut self, text: &str) -> String {
        let found = within(PATIENCE, || {
            let said = self.said();
            let whole = said.rfind('\n').map_or("", |end| &said[..end]);
            if let Some((_, rest)) = whole.split_once(text) {
                return Some(rest.lines().next().unwrap_or_default().to_owned());
            }
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "it ended ({ended:?}): {said}");
            None
        });
        found.unwrap_or_else(|| panic!("it never said {text:?}: {}", self.said()))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
    }
}
