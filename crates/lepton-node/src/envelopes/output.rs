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
pub(crate) enum Sink<'a> {
    File(NewFile<'a>),
    Pipe(File),
}

/// A file that has its name only when it is whole. Dropped before, nothing is left of it.
pub(crate) struct NewFile<'a> {
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
    pub(crate) fn open(&self) -> Result<Sink<'_>, NodeError> {
        match self {
            Self::Stdout => stdout()
                .map(Sink::Pipe)
                .map_err(|error| NodeError::file(Path::new("standard output"), &error)),
            Self::File { path, replace } => NewFile::create(path, *replace).map(Sink::File),
        }
    }

    /// Refuses a file that exists and is to stay, before anything else is asked or done.
    ///
    /// # Errors
    /// [`NodeError::Use`]; [`NodeError::File`] for a folder.
    pub fn check(&self) -> Result<(), NodeError> {
        match self {
            Self::File { path, replace } => may_be_made(path, *replace),
            Self::Stdout => Ok(()),
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

/// A device, a named pipe or a socket is never replaced, as its name is all that it is.
fn may_be_made(path: &Path, replace: bool) -> Result<(), NodeError> {
    let Ok(about) = path.symlink_metadata() else {
        return Ok(());
    };
    let kind = about.file_type();
    if !(kind.is_file() || kind.is_symlink() || kind.is_dir()) {
        return Err(NodeError::Use(format!(
            "{} is no file, so that none can take its place; leave out --out and pipe standard output to it",
            path.display()
        )));
    }
    if !replace {
        return Err(exists(path));
    }
    if path.is_dir() {
        return Err(NodeError::file(path, &io::ErrorKind::IsADirectory.into()));
    }
    Ok(())
}

fn exists(path: &Path) -> NodeError {
    NodeError::Use(format!(
        "{} exists already; name a new file, or give --force to replace it",
        path.display()
    ))
}

impl Sink<'_> {
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), NodeError> {
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

    /// Waits until what was written so far is on the disk.
    pub(crate) fn sync(&self) -> Result<(), NodeError> {
        match self {
            Self::File(new) => new
                .file
                .sync_all()
                .map_err(|error| NodeError::file(new.path, &error)),
            Self::Pipe(_) => Ok(()),
        }
    }

    /// The end of what is written: a file is made to last and gets its name.
    pub(crate) fn finish(self) -> Result<(), NodeError> {
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
        may_be_made(path, replace)?;
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
            if self.replace {
                fs::rename(temporary, self.path)?;
            } else {
                name_anew(temporary, self.path)?;
            }
            self.temporary = None;
        }
        sync_folder(folder(self.path))
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

/// Gives a file another name, which must be free: a link replaces nothing, a rename would.
fn name_anew(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Ok(()) => fs::remove_file(from),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
        // A file system without links, as on a memory stick: looked at just before.
        Err(_) if to.symlink_metadata().is_ok() => Err(io::ErrorKind::AlreadyExists.into()),
        Err(_) => fs::rename(from, to),
    }
}

/// Makes the new name last. Where the system cannot open a folder, it cannot be told to.
fn sync_folder(folder: &Path) -> io::Result<()> {
    match File::open(folder) {
        Ok(folder) => folder.sync_all(),
        Err(_) if cfg!(not(unix)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Makes it last that a file has gone from its folder.
pub(crate) fn sync_folder_of(path: &Path) -> io::Result<()> {
    sync_folder(folder(path))
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

#[cfg(test)]
mod tests {
    use super::*;

    /// EV-15 where the system has no nameless files: what came in between stays.
    #[test]
    fn a_new_name_replaces_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let [from, to] = ["from", "to"].map(|name| folder.path().join(name));
        fs::write(&from, b"new").unwrap();
        fs::write(&to, b"old").unwrap();
        let kind = name_anew(&from, &to).unwrap_err().kind();
        assert_eq!(kind, io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&to).unwrap(), b"old");
        fs::remove_file(&to).unwrap();
        name_anew(&from, &to).unwrap();
        assert_eq!(fs::read(&to).unwrap(), b"new");
        assert!(!from.exists());
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_file_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        for replace in [false, true] {
            let target = Target::File {
                path: path.clone(),
                replace,
            };
            assert!(matches!(target.check(), Err(NodeError::Use(_))));
            assert!(matches!(target.open().err(), Some(NodeError::Use(_))));
        }
        assert!(path.exists());
    }
}
