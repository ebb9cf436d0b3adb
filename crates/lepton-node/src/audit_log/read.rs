//! Reading a log back: line by line, every link and every signature.

use std::fs;
use std::path::{Path, PathBuf};

use lepton_crypto::{IdentityPublic, Signature};

use super::DOMAIN;
use super::entry::{Entry, Event, FORMAT, link, seal_statement, start};
use crate::error::NodeError;
use crate::hex::unhex;

/// What a whole log amounts to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Random name of the log.
    pub log: String,
    /// Whose it is.
    pub member: String,
    /// The keys that signed, in order.
    pub keys: Vec<String>,
    /// Segments.
    pub segments: u64,
    /// Lines.
    pub entries: u64,
    /// Lines at the end that no signature covers: they, and only they, could have been cut off or replaced by somebody without the key.
    pub unsigned: u64,
    /// Times that a line cut short by a crash was removed.
    pub repairs: u64,
}

/// Checks a whole log: numbers, links between lines and segments, signatures.
///
/// With `expected`, every segment must be signed with that key; without it, compare [`Summary::keys`] with what the member's certificate says.
///
/// # Errors
/// [`NodeError::Data`] naming the file and line of the first thing that does not hold.
pub fn verify(folder: &Path, expected: Option<&IdentityPublic>) -> Result<Summary, NodeError> {
    walk(folder, expected, |_| {})
}

/// Every entry of a log that holds, in order.
///
/// # Errors
/// As [`verify`].
pub fn read(folder: &Path) -> Result<(Summary, Vec<Entry>), NodeError> {
    let mut entries = Vec::new();
    let summary = walk(folder, None, |entry| entries.push(entry))?;
    Ok((summary, entries))
}

fn walk(
    folder: &Path,
    expected: Option<&IdentityPublic>,
    mut each: impl FnMut(Entry),
) -> Result<Summary, NodeError> {
    let segments = segments(folder)?;
    if segments.is_empty() {
        return Err(NodeError::Data(format!(
            "{}: there is no audit log in this folder",
            folder.display()
        )));
    }
    let mut chain = Chain::new(expected);
    let last = segments.len();
    for (index, (number, path)) in segments.iter().enumerate() {
        if *number != chain.summary.segments + 1 {
            return Err(damaged(path, 1, "a segment before it is missing"));
        }
        let text = fs::read_to_string(path).map_err(|error| NodeError::file(path, &error))?;
        chain.open_segment(*number);
        chain
            .follow_all(&text, &mut each)
            .map_err(|(line, what)| damaged(path, line, what))?;
        if !chain.sealed && (index + 1 < last || chain.at_start) {
            return Err(damaged(path, chain.line, "ends without a signature"));
        }
    }
    Ok(chain.summary)
}

/// The entries of a first segment.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn read_text(text: &str) -> Result<Vec<Entry>, (usize, &'static str)> {
    let (mut chain, mut entries) = (Chain::new(None), Vec::new());
    chain.open_segment(1);
    chain.follow_all(text, &mut |entry| entries.push(entry))?;
    Ok(entries)
}

/// What has to follow.
struct Chain<'a> {
    summary: Summary,
    expected: Option<&'a IdentityPublic>,
    head: String,
    key: Option<IdentityPublic>,
    sealed: bool,
    at_start: bool,
    line: usize,
}

impl<'a> Chain<'a> {
    fn new(expected: Option<&'a IdentityPublic>) -> Self {
        Self {
            summary: Summary {
                log: String::new(),
                member: String::new(),
                keys: Vec::new(),
                segments: 0,
                entries: 0,
                unsigned: 0,
                repairs: 0,
            },
            expected,
            head: start(),
            key: None,
            sealed: false,
            at_start: true,
            line: 0,
        }
    }

    fn open_segment(&mut self, number: u64) {
        self.summary.segments = number;
        (self.sealed, self.at_start, self.line) = (false, true, 0);
    }

    /// The lines of a segment; what is wrong with which, counted from 1.
    fn follow_all(
        &mut self,
        text: &str,
        each: &mut impl FnMut(Entry),
    ) -> Result<(), (usize, &'static str)> {
        for (at, raw) in text.split_inclusive('\n').enumerate() {
            let short = "is cut short; the program that writes the log repairs it when it starts";
            let line = raw.strip_suffix('\n').ok_or((at + 1, short))?;
            each(self.follow(line).map_err(|what| (at + 1, what))?);
        }
        Ok(())
    }

    fn follow(&mut self, line: &str) -> Result<Entry, &'static str> {
        if self.sealed {
            return Err("follows the signature that ends the segment");
        }
        let entry: Entry =
            serde_json::from_str(line).map_err(|_| "is not a line that this version can read")?;
        if entry.n != self.summary.entries + 1 || entry.previous != self.head {
            return Err("does not follow from the line before it");
        }
        // A line says what its bytes say, once: nothing hides in another spelling.
        if serde_json::to_string(&entry).ok().as_deref() != Some(line) {
            return Err("is not written as this program writes it");
        }
        self.take(&entry.event)?;
        self.line += 1;
        self.at_start = false;
        self.summary.entries = entry.n;
        self.summary.unsigned = if self.sealed {
            0
        } else {
            self.summary.unsigned + 1
        };
        self.head = link(line);
        Ok(entry)
    }

    fn take(&mut self, event: &Event) -> Result<(), &'static str> {
        match event {
            Event::Begin {
                format,
                log,
                member,
                key,
                segment,
            } => {
                let first = self.summary.entries == 0;
                if format != FORMAT {
                    return Err("is of a format that this version does not know");
                }
                if !self.at_start || *segment != self.summary.segments {
                    return Err("begins a segment where none begins");
                }
                if !first && *log != self.summary.log {
                    return Err("belongs to another log");
                }
                self.begin((log, member), key)
            }
            _ if self.at_start => Err("is not the beginning of a segment"),
            Event::Seal { signature } => self.seal(signature),
            Event::Repaired { .. } => {
                self.summary.repairs += 1;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn begin(&mut self, (log, member): (&str, &str), key: &str) -> Result<(), &'static str> {
        let public = unhex(key).map(IdentityPublic::from_bytes);
        let public = public.ok_or("names a key that is none")?;
        if self.expected.is_some_and(|expected| *expected != public) {
            return Err("names another key than the member's");
        }
        log.clone_into(&mut self.summary.log);
        member.clone_into(&mut self.summary.member);
        if self.summary.keys.last().map(String::as_str) != Some(key) {
            self.summary.keys.push(key.to_owned());
        }
        self.key = Some(public);
        Ok(())
    }

    fn seal(&mut self, signature: &str) -> Result<(), &'static str> {
        let (log, segment) = (&self.summary.log, self.summary.segments);
        let statement = seal_statement(log, segment, self.summary.entries, &self.head);
        let genuine = signature_of(signature)
            .zip(self.key)
            .is_some_and(|(signature, key)| {
                key.verify(DOMAIN, statement.as_bytes(), &signature).is_ok()
            });
        if !genuine {
            return Err("has a signature that is not the member's");
        }
        self.sealed = true;
        Ok(())
    }
}

fn signature_of(text: &str) -> Option<Signature> {
    let bytes = unhex::<64>(text)?;
    Signature::try_from(bytes.as_slice()).ok()
}

fn damaged(path: &Path, line: usize, what: &str) -> NodeError {
    NodeError::Data(format!(
        "{}:{line}: the audit log does not hold: this line {what}",
        path.display()
    ))
}

/// File of a segment.
pub(super) fn path_of(folder: &Path, segment: u64) -> PathBuf {
    folder.join(format!("segment-{segment:08}.jsonl"))
}

/// Segments by number.
pub(super) fn segments(folder: &Path) -> Result<Vec<(u64, PathBuf)>, NodeError> {
    let entries = fs::read_dir(folder).map_err(|error| NodeError::file(folder, &error))?;
    let mut found = Vec::new();
    for entry in entries {
        let path = entry
            .map_err(|error| NodeError::file(folder, &error))?
            .path();
        let name = path.file_name().and_then(|name| name.to_str());
        let number = name
            .and_then(|name| name.strip_prefix("segment-")?.strip_suffix(".jsonl"))
            .and_then(|digits| digits.parse().ok());
        if let Some(number) = number {
            found.push((number, path));
        }
    }
    found.sort();
    Ok(found)
}

/// How a segment ends.
#[derive(Default)]
pub(super) struct Tail {
    pub(super) last: Option<Last>,
    pub(super) lines: u64,
    pub(super) sealed: bool,
    /// Bytes of whole lines.
    pub(super) whole: u64,
    /// Bytes of a line cut short.
    pub(super) torn: u64,
    /// Member and key of the segment.
    pub(super) begun_by: Option<(String, String)>,
}

/// Where a log stands.
pub(super) struct Last {
    pub(super) log: String,
    pub(super) count: u64,
    pub(super) head: String,
}

/// How the segment at `path` ends; its lines must follow from each other.
pub(super) fn tail(path: &Path) -> Result<Tail, NodeError> {
    let bytes = fs::read(path).map_err(|error| NodeError::file(path, &error))?;
    let whole = bytes
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |at| at + 1);
    let (lines, torn) = bytes.split_at_checked(whole).unwrap_or((&bytes, &[]));
    let text = std::str::from_utf8(lines).map_err(|_| damaged(path, 1, "is no text"))?;
    let mut tail = Tail {
        whole: lines.len() as u64,
        torn: torn.len() as u64,
        ..Tail::default()
    };
    let mut log = String::new();
    for (at, line) in text.lines().enumerate() {
        let entry: Entry = serde_json::from_str(line)
            .map_err(|_| damaged(path, at + 1, "is not a line that this version can read"))?;
        let follows = tail
            .last
            .as_ref()
            .is_none_or(|last| entry.previous == last.head && entry.n == last.count + 1);
        if !follows || tail.sealed {
            return Err(damaged(
                path,
                at + 1,
                "does not follow from the line before it",
            ));
        }
        match entry.event {
            Event::Begin {
                log: name,
                member,
                key,
                ..
            } => {
                log = name;
                tail.begun_by = Some((member, key));
            }
            Event::Seal { .. } => tail.sealed = true,
            _ => {}
        }
        tail.lines += 1;
        tail.last = Some(Last {
            log: log.clone(),
            count: entry.n,
            head: link(line),
        });
    }
    Ok(tail)
}

/// Where the log stood at the end of the segment before.
pub(super) fn last_before(folder: &Path, segment: u64) -> Result<Option<Last>, NodeError> {
    match segment.checked_sub(1) {
        None | Some(0) => Ok(None),
        Some(before) => Ok(tail(&path_of(folder, before))?.last),
    }
}
