//! Where output goes: a file that appears whole or not at all, or a pipe (EV-15).

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::error::NodeError;

/// Where output goes.
pub enum Target {
    /// A file; one that exists is replaced only if so said.
    File {
        /// Its path.
        path: PathBuf,
        /// Whether a file of that name is replaced.
        replace: bool,
    },
    /// Standard output.
    Stdout,
}

/// A target that is being written.
pub(super) enum Sink<'a> {
    File(NewFile<'a>),
    Pipe(File),
}

/// A file that has its name only when it is whole. Dropped before, nothing is left of it.
pub(super) struct NewFile<'a> {
    file: File,
    path: &'a Path,
    replace: bool,
    /// Its name until then; none where the system can make a file without one.
    temporary: Option<PathBuf>,
}

impl Target {
    /// A target to be written to.
    ///
    /// # Errors
    /// [`NodeError`] when it exists and is not to be replaced, or cannot be made.
    pub(super) fn open(&self) -> Result<Sink<'_>, NodeError> {
        match self {
            Self::Stdout => stdout()
                .map(Sink::Pipe)
                .map_err(|error| NodeError::file(Path::new("standard output"), &error)),
            Self::File { path, replace } => NewFile::create(path, *replace).map(Sink::File),
        }
    }

    /// Refuses a file that exists, before anything else is asked or done.
    ///
    /// # Errors
    /// [`NodeError::Use`].
    pub fn check(&self) -> Result<(), NodeError> {
        match self {
            Self::File {
                path,
                replace: false,
            } if path.symlink_metadata().is_ok() => Err(exists(path)),
            _ => Ok(()),
        }
    }
}

/// Standard output without the buffer that looks for line ends in it.
#[cfg(unix)]
fn stdout() -> io::Result<File> {
    use std::os::fd::AsFd;
    io::stdout().as_fd().try_clone_to_owned().map(File::from)
}

#[cfg(windows)]
fn stdout() -> io::Result<File> {
    use std::os::windows::io::AsHandle;
    io::stdout()
        .as_handle()
        .try_clone_to_owned()
        .map(File::from)
}

fn exists(path: &Path) -> NodeError {
    NodeError::Use(format!(
        "{} exists already; name a new file, or give --force to replace it",
        path.display()
    ))
}

impl Sink<'_> {
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), NodeError> {
        match self {
            Self::File(new) => new
                .file
                .write_all(bytes)
                .map_err(|error| NodeError::file(new.path, &error)),
            Self::Pipe(pipe) => pipe
                .write_all(bytes)
                .map_err(|error| NodeError::file(Path::new("standard output"), &error)),
        }
    }

    /// The end of what is written: a file is made to last and gets its name.
    pub(super) fn finish(self) -> Result<(), NodeError> {
        match self {
            Self::File(new) => {
                let path = new.path;
                new.finish().map_err(|error| match error.kind() {
                    io::ErrorKind::AlreadyExists => exists(path),
                    _ => NodeError::file(path, &error),
                })
            }
            // A file of the standard library holds nothing back.
            Self::Pipe(_) => Ok(()),
        }
    }
}

impl<'a> NewFile<'a> {
    fn create(path: &'a Path, replace: bool) -> Result<Self, NodeError> {
        if !replace && path.symlink_metadata().is_ok() {
            return Err(exists(path));
        }
        if path.is_dir() {
            return Err(NodeError::file(path, &io::ErrorKind::IsADirectory.into()));
        }
        let (file, temporary) = match nameless(path) {
            Some(file) => (file, None),
            None => {
                let temporary = beside(path);
                let file = private(&temporary).map_err(|error| NodeError::file(path, &error))?;
                (file, Some(temporary))
            }
        };
        Ok(Self {
            file,
            path,
            replace,
            temporary,
        })
    }

    fn finish(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        if self.temporary.is_none() {
            // A name of its own first where another file must make way: a link replaces nothing.
            let name = if self.replace {
                beside(self.path)
            } else {
                self.path.to_owned()
            };
            link(&self.file, &name)?;
            self.temporary = self.replace.then_some(name);
        }
        if let Some(temporary) = &self.temporary {
            fs::rename(temporary, self.path)?;
            self.temporary = None;
        }
        File::open(folder(self.path))?.sync_all()
    }
}

impl Drop for NewFile<'_> {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary {
            // Whatever made it fail is reported already.
            let _ = fs::remove_file(temporary);
        }
    }
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// A name beside `path` that no other process uses.
fn beside(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}.partial", std::process::id()));
    path.with_file_name(name)
}

/// A new file that only its owner reads.
fn private(path: &Path) -> io::Result<File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// A file in the folder of `path` that has no name yet, so that nothing is left of it even when the process is killed. Not every file system can.
#[cfg(target_os = "linux")]
fn nameless(path: &Path) -> Option<File> {
    use rustix::fs::{Mode, OFlags, open};
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    let file = open(folder(path), flags, Mode::RUSR | Mode::WUSR)
        .ok()
        .map(File::from)?;
    // Naming it later goes through /proc, which a container may lack.
    Path::new("/proc/self/fd").exists().then_some(file)
}

#[cfg(not(target_os = "linux"))]
fn nameless(_: &Path) -> Option<File> {
    None
}

/// Gives a nameless file its name, which must be free.
#[cfg(target_os = "linux")]
fn link(file: &File, name: &Path) -> io::Result<()> {
    use rustix::fs::{AtFlags, CWD, linkat};
    use std::os::fd::AsRawFd;
    let from = format!("/proc/self/fd/{}", file.as_raw_fd());
    linkat(CWD, from, CWD, name, AtFlags::SYMLINK_FOLLOW).map_err(io::Error::from)
}

#[cfg(not(target_os = "linux"))]
fn link(_: &File, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
