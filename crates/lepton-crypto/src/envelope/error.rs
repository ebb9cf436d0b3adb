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
        "the envelope does not commit to its key (`lepton.kc`), which is needed with a passphrase, with several recipients and where it must be signed; have it made for one public key, or by Lepton"
    )]
    Uncommitted,
    /// A signature was asked for, and there is none that names its recipients (EV-19, EV-20).
    #[error(
        "the envelope has no signature that is bound to its recipients; ask its sender to sign it, or leave out the signer and rely on nobody"
    )]
    Unsigned,
    /// Somebody else signed than those who were asked for.
    #[error("the envelope is signed by another key (thumbprint {0}) than those that were given")]
    OtherSigner(String),
    /// The signature was made for another content, or for other recipients.
    #[error(
        "the signature does not hold for this content and these recipients: it was made for others, or altered"
    )]
    BadSignature,
    /// A stream's chunk that does not open.
    #[error("chunk {0} does not open: the data were altered, reordered or cut short")]
    Chunk(u64),
    /// A stream behind a header that somebody replaced: its chunks are those of somebody who had its key, its whole is not what the header names (EV-21).
    #[error(
        "the content is not the one that its header was made for: it was replaced or altered by somebody who had its key"
    )]
    OtherContent,
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
