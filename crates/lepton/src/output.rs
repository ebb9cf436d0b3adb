//! Standard output, where a reader that closes its end early (`| head`) is no failure and a full disk is; and standard error.

use std::cell::RefCell;
use std::io::{self, Write};
use std::path::Path;

use lepton_node::error::NodeError;
use serde::Serialize;

thread_local! {
    /// Where this thread's standard output goes while [`captured`] runs.
    static CAPTURED: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// What `verb` writes on this thread's standard output, kept and not written.
pub(crate) fn captured(verb: impl FnOnce() -> Result<(), NodeError>) -> Result<String, NodeError> {
    /// Standard output is itself again, also after a panic.
    struct Restored;
    impl Drop for Restored {
        fn drop(&mut self) {
            CAPTURED.take();
        }
    }
    CAPTURED.set(Some(String::new()));
    let restored = Restored;
    verb()?;
    let text = CAPTURED.take().unwrap_or_default();
    drop(restored);
    Ok(text)
}

/// Writes `text`.
///
/// # Errors
/// [`NodeError`] when it cannot be written.
pub(crate) fn text(text: &str) -> Result<(), NodeError> {
    let kept = CAPTURED.with_borrow_mut(|kept| {
        let kept = kept.as_mut();
        kept.map(|kept| kept.push_str(text))
    });
    if kept.is_some() {
        return Ok(());
    }
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(NodeError::file(Path::new("standard output"), &error))
        }
        _ => Ok(()),
    }
}

/// Writes a line for the person at the terminal. That it cannot be written changes nothing about what was done.
pub(crate) fn note(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// The runtime of a command that waits for others.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, NodeError> {
    built(&mut tokio::runtime::Builder::new_multi_thread())
}

/// A runtime with everything on.
pub(crate) fn built(
    builder: &mut tokio::runtime::Builder,
) -> Result<tokio::runtime::Runtime, NodeError> {
    builder
        .enable_all()
        .build()
        .map_err(|error| NodeError::Internal(format!("the runtime does not start: {error}")))
}

/// A job in a list.
pub(crate) struct JobRow {
    pub(crate) digest: String,
    /// Name, submitter, when, state.
    pub(crate) columns: [String; 4],
    /// Why it is so; may be empty.
    pub(crate) words: String,
}

/// Jobs for a person, with the heading of when.
pub(crate) fn job_table(when: &str, rows: impl Iterator<Item = JobRow>) -> String {
    let line = |digest: &str, [name, submitter, at, state]: [&str; 4]| {
        let line = format!("{digest:<10}{name:<22}{submitter:<24}{at:<22}{state}");
        plain(&line) + "\n"
    };
    let mut text = line("job", ["name", "submitter", when, "state"]);
    for row in rows {
        let short: String = row.digest.chars().take(8).collect();
        text += &line(&short, row.columns.each_ref().map(String::as_str));
        if !row.words.is_empty() {
            text += &format!("          {}\n", plain(&row.words));
        }
    }
    text
}

/// Words of others without what would move a terminal's cursor.
pub(crate) fn plain(words: &str) -> String {
    let kept = |letter: char| match letter {
        '\n' => '\n',
        letter if letter.is_control() => ' ',
        letter => letter,
    };
    words.chars().map(kept).collect()
}

/// Writes one JSON document.
///
/// # Errors
/// [`NodeError`] when it cannot be written.
pub(crate) fn json(document: &impl Serialize) -> Result<(), NodeError> {
    let mut text = serde_json::to_string_pretty(document)
        .map_err(|error| NodeError::Internal(error.to_string()))?;
    text.push('\n');
    self::text(&text)
}
