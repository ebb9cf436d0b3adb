//! What can be wrong with an envelope or a key file.

use thiserror::Error;

/// An envelope or a key that is refused. Messages hold nothing secret.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EnvelopeError {
    /// Whoever made the bytes broke the format.
    #[error("this is no envelope that can be read: {0}")]
    Malformed(&'static str),
    /// The envelope asks for something that is never done.
    #[error("the envelope asks for {0}, which is not accepted")]
    Refused(String),
    /// None of the keys given is of a kind to which the envelope is addressed.
    #[error("the envelope is for other kinds of keys ({0}); give the key it was made for")]
    OtherKeys(String),
    /// Wrong key or passphrase, or altered: which of them is not said (EV-03).
    #[error("the envelope does not open: wrong key or passphrase, or it was altered")]
    DoesNotOpen,
    /// An envelope of another tool without key commitment, where that is needed (EV-04).
    #[error(
        "the envelope does not commit to its key (`lepton.kc`), which is needed with a passphrase and with several recipients; have it made for one public key, or by Lepton"
    )]
    Uncommitted,
    /// A stream's chunk that does not open.
    #[error("chunk {0} does not open: the data were altered, reordered or cut short")]
    Chunk(u64),
    /// More than the format takes.
    #[error("{0} is more than an envelope of this format takes")]
    TooLong(&'static str),
    /// A key that cannot be used.
    #[error("the key cannot be used: {0}")]
    Key(&'static str),
    /// A recipient list, a passphrase or an option that the caller must change.
    #[error("{0}")]
    Use(&'static str),
    /// Shares of a key that do not fit.
    #[error("{0}")]
    Share(String),
    /// The library below refused a key it made itself, or ran out of entropy.
    #[error("internal error: {0}")]
    Internal(&'static str),
}
