//! What is written, and in which order (rule VA-03).

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::error::VaultError;

/// Name of the file that is locked.
pub(crate) const LOCK: &str = "vault.lock";

/// Called with a word for every effect on the disk, before it: tests kill the program there.
pub(crate) type Step = Box<dyn Fn(&str) + Send + Sync>;

/// A vault's folder, locked against other programs that would change it.
pub(crate) struct Disk {
    folder: PathBuf,
    _lock: File,
    step: Option<Step>,
}

impl Disk {
    /// Locks the folder.
    pub(crate) fn lock(folder: &Path) -> Result<Self, VaultError> {
        let path = folder.join(LOCK);
        let file = private(OpenOptions::new().create(true).append(true))
            .open(&path)
            .map_err(VaultError::io(&path))?;
        file.try_lock().map_err(|error| match error {
            fs::TryLockError::WouldBlock => VaultError::Use(format!(
                "{}: another program is changing this vault; wait until it is done",
                folder.display()
            )),
            fs::TryLockError::Error(source) => VaultError::io(&path)(source),
        })?;
        Ok(Self {
            folder: folder.to_owned(),
            _lock: file,
            step: None,
        })
    }

    pub(crate) fn on_step(&mut self, step: Step) {
        self.step = Some(step);
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    fn step(&self, what: &str) {
        if let Some(step) = &self.step {
            step(what);
        }
    }

    /// Makes a folder inside the vault, and waits for it.
    pub(crate) fn make_folder(&self, path: &Path) -> Result<(), VaultError> {
        self.step("folder");
        match fs::create_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            done => done.map_err(VaultError::io(path)),
        }?;
        sync(parent(path))
    }

    /// A new file that only its owner reads.
    pub(crate) fn create(&self, path: &Path) -> Result<File, VaultError> {
        self.step("create");
        private(OpenOptions::new().write(true).create_new(true))
            .open(path)
            .map_err(VaultError::io(path))
    }

    /// Waits until a new file and its name are on the disk.
    pub(crate) fn settle(&self, path: &Path, file: &File) -> Result<(), VaultError> {
        self.step("settle");
        file.sync_all().map_err(VaultError::io(path))?;
        sync(parent(path))
    }

    /// Replaces a file in one step, and waits for it.
    pub(crate) fn replace(&self, path: &Path, bytes: &[u8]) -> Result<(), VaultError> {
        let partial = partial(path);
        self.step("partial");
        let written = (|| {
            let mut options = OpenOptions::new();
            let mut file =
                private(options.write(true).create(true).truncate(true)).open(&partial)?;
            file.write_all(bytes)?;
            self.step("sync");
            file.sync_all()?;
            self.step("rename");
            fs::rename(&partial, path)
        })();
        if written.is_err() {
            // The failure itself is reported.
            let _ = fs::remove_file(&partial);
        }
        written.map_err(VaultError::io(path))?;
        self.step("renamed");
        sync(parent(path))
    }

    /// Removes a file, if it is there, and waits for it.
    pub(crate) fn remove(&self, path: &Path) -> Result<(), VaultError> {
        self.step("remove");
        match fs::remove_file(path) {
            // Nothing was there, perhaps not even a folder.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            done => done.map_err(VaultError::io(path))?,
        }
        sync(parent(path))
    }

    /// Overwrites an opened file once, as far as its file system does that in place.
    pub(crate) fn overwrite(&self, path: &Path, file: &mut File) -> Result<(), VaultError> {
        self.step("overwrite");
        let length = file.metadata().map_err(VaultError::io(path))?.len();
        io::copy(&mut io::Read::take(io::repeat(0), length), file)
            .and_then(|_| file.sync_all())
            .map_err(VaultError::io(path))
    }
}

/// Makes a folder and those above it that are not there yet, and waits for their names.
pub(crate) fn make_folders(folder: &Path) -> Result<(), VaultError> {
    let lacking = folder
        .ancestors()
        .take_while(|above| !above.as_os_str().is_empty() && !above.exists());
    let lacking: Vec<&Path> = lacking.collect();
    fs::create_dir_all(folder).map_err(VaultError::io(folder))?;
    lacking.into_iter().try_for_each(|made| sync(parent(made)))
}

/// Writes a secret to a file that did not exist, readable by its owner only.
///
/// # Errors
/// [`VaultError::Use`] when there is such a file; [`VaultError::Io`].
pub fn write_secret(path: &Path, bytes: &[u8]) -> Result<(), VaultError> {
    let file = private(OpenOptions::new().write(true).create_new(true)).open(path);
    let mut file = file.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => VaultError::Use(format!(
            "{} exists already; name a new file",
            path.display()
        )),
        _ => VaultError::io(path)(error),
    })?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    if written.is_err() {
        let _ = fs::remove_file(path);
    }
    written.map_err(VaultError::io(path))?;
    sync(parent(path))
}

/// Refuses a file with a secret that others may read.
pub(crate) fn only_owner_reads(path: &Path) -> Result<(), VaultError> {
    let about = fs::metadata(path).map_err(VaultError::io(path))?;
    #[cfg(unix)]
    if std::os::unix::fs::PermissionsExt::mode(&about.permissions()) & 0o077 != 0 {
        return Err(VaultError::Use(format!(
            "{0}: others may read this secret; run `chmod 600 {0}`",
            path.display()
        )));
    }
    #[cfg(not(unix))]
    let _ = about;
    Ok(())
}

/// The name under which a file is written before it takes its place.
pub(crate) fn partial(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    path.with_file_name(name)
}

fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Makes new names in a folder survive a power cut.
fn sync(folder: &Path) -> Result<(), VaultError> {
    #[cfg(unix)]
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(VaultError::io(folder))?;
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}
