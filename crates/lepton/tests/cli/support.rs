//! Calls of the command in a folder of their own.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

pub(crate) const LEPTON: &str = env!("CARGO_BIN_EXE_lepton");

/// A small job: two inputs, a label that follows from them.
pub(crate) const SMALL: &str = r#"[job]
name = "small"
task = "train"

[data]
table = "data.csv"
label = "y"

[model]
kind = "logistic"

[training]
rounds = 3
"#;

/// A folder that is removed at the end.
pub(crate) struct Desk {
    folder: TempDir,
}

/// What a call left.
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Desk {
    /// With the small job and its table.
    pub(crate) fn small() -> Self {
        let desk = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        desk.write("job.toml", SMALL);
        desk.write("data.csv", table(60));
        desk
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    pub(crate) fn json(&self, name: &str) -> Value {
        serde_json::from_str(&self.read(name)).unwrap()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(LEPTON);
        command.args(arguments).current_dir(self.folder.path());
        command
    }

    /// Calls the command and sees that it did not panic.
    pub(crate) fn call(&self, arguments: &[&str]) -> Done {
        Done::of(self.command(arguments).output().unwrap())
    }

    /// Names in a folder, sorted.
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.path(name)) else {
            return Vec::new();
        };
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}

impl Done {
    pub(crate) fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let done = Self {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        };
        for text in [&done.stdout, &done.stderr] {
            assert!(
                !text.contains("panicked") && !text.contains("RUST_BACKTRACE"),
                "{text}"
            );
        }
        done
    }

    /// Done, and what it printed.
    pub(crate) fn fine(self) -> Self {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        self
    }

    /// Failed with this code, nothing on stdout, and one error that holds all of `texts`.
    pub(crate) fn refused(self, code: i32, texts: &[&str]) -> Self {
        assert_eq!(self.code, Some(code), "{}", self.stderr);
        assert_eq!(self.stdout, "");
        assert_eq!(self.stderr.matches("error: ").count(), 1, "{}", self.stderr);
        for text in texts {
            assert!(
                self.stderr.contains(text),
                "{text:?} is not in: {}",
                self.stderr
            );
        }
        self
    }

    /// Exited with this code.
    #[cfg(unix)]
    pub(crate) fn code_is(&self, code: i32) {
        assert_eq!(self.code, Some(code), "{}", self.stderr);
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap()
    }
}

/// A table of the small job: two numbers that decide the label.
pub(crate) fn table(rows: i32) -> String {
    let row = |i: i32| {
        let (a, b) = ((i * 37 % 41) - 20, (i * 53 % 29) - 14);
        format!("{a},{b},{}\n", if a + b > 0 { "yes" } else { "no" })
    };
    std::iter::once("a,b,y\n".to_owned())
        .chain((0..rows).map(row))
        .collect()
}

/// The breast-cancer example's job file.
pub(crate) fn example() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.join("examples/breast_cancer/job.toml")
        .display()
        .to_string()
}

/// The breast-cancer table.
pub(crate) fn example_table() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    std::fs::read_to_string(root.join("data/breast_cancer.csv")).unwrap()
}
