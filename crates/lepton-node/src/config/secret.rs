//! Where secrets come from: a file or the environment, never the configuration itself.

use std::path::PathBuf;

use zeroize::Zeroizing;

use crate::error::NodeError;

/// Longest secret, in bytes.
const LONGEST: u64 = 64 * 1024;

/// Where a secret is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// In a file; a line end at its end does not count.
    File(PathBuf),
    /// In an environment variable.
    Environment(String),
}

impl SecretSource {
    /// Reads the secret.
    ///
    /// # Errors
    /// [`NodeError`] when there is none, when it is empty, or when others than its owner may read the file.
    pub fn read(&self) -> Result<Zeroizing<String>, NodeError> {
        let (text, place) = match self {
            Self::File(path) => {
                crate::files::only_owner_reads(path)?;
                let size = std::fs::metadata(path).map(|about| about.len());
                let size = size.map_err(|error| NodeError::file(path, &error))?;
                if size > LONGEST {
                    let problem = format!("{}: too large for a secret", path.display());
                    return Err(NodeError::Use(problem));
                }
                let text = std::fs::read_to_string(path);
                let text = text.map_err(|error| NodeError::file(path, &error))?;
                (Zeroizing::new(text), path.display().to_string())
            }
            Self::Environment(name) => {
                let text = std::env::var(name).map_err(|_| {
                    NodeError::Use(format!("the environment variable {name} is not set"))
                })?;
                (
                    Zeroizing::new(text),
                    format!("the environment variable {name}"),
                )
            }
        };
        let secret = text.trim_end_matches(['\r', '\n']);
        if secret.is_empty() {
            return Err(NodeError::Use(format!("{place} is empty")));
        }
        Ok(Zeroizing::new(secret.to_owned()))
    }
}
