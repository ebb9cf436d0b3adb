"""Encryption: values for a passphrase, or for the holders of keys.

Envelopes are JWE (RFC 7516) with AES-256-GCM: authenticated, so that nobody without the key can read or change them unnoticed. Only where they are
signed, and the reader says by whom, do they say who made them. A passphrase is stretched by Argon2id (RFC 9106), or by PBES2 for other tools; keys are
X25519, P-256, RSA, a hybrid of X25519 and ML-KEM-768 against quantum computers, or AES; Ed25519 signs. Values have up to 16 MiB; for files there are the commands ``lepton encrypt`` and ``lepton decrypt``.
"""

import warnings

from lepton_ai import _native
from lepton_ai.errors import UsageError


def encrypt(
    data: bytes | str,
    *,
    passphrase: str | bytes | None = None,
    recipients=(),
    aes_keys=(),
    portable: bool = False,
    sign: str | bytes | None = None,
    sign_passphrase: str | bytes | None = None,
) -> str:
    """Closes ``data`` (bytes, or text as UTF-8) into a JWE that the passphrase, or any of the keys, opens.

    ``recipients``: public keys, as PEM or JWK text. ``aes_keys``: AES keys, 16, 24 or 32 bytes or a JWK. ``portable``: PBES2 in place of Argon2id, which
    other JOSE libraries open too. ``sign``: an Ed25519 key, under ``sign_passphrase`` if there is one: its holder made this, for these recipients.
    Raises :class:`UsageError` for no or contradicting keys, :class:`EnvelopeError` for a key that cannot be used.

    >>> token = encrypt("hello", passphrase="correct horse battery staple")
    >>> token.count(".")
    4
    """
    if (passphrase is None) == (not recipients and not aes_keys):
        raise UsageError("to whom? give either a passphrase or keys")
    return _native.seal(
        _bytes(data, "data"),
        None if passphrase is None else _bytes(passphrase, "passphrase"),
        [_bytes(key, "recipients") for key in _listed(recipients)],
        [_bytes(key, "aes_keys") for key in _listed(aes_keys)],
        portable,
        None if sign is None else (_bytes(sign, "sign"), None if sign_passphrase is None else _bytes(sign_passphrase, "sign_passphrase")),
    )


def decrypt(token: str, *, passphrase: str | bytes | None = None, keys=(), key_passphrase: str | bytes | None = None, signers=None) -> bytes:
    """What a JWE holds. ``keys``: private or AES keys as :func:`generate_key` gives them, each under ``key_passphrase`` if there is one.

    ``signers``: Ed25519 public keys, one of which must have signed; without them a signature is not checked, and a warning says that one is there.

    Raises :class:`EnvelopeError` for a wrong key or passphrase, for an envelope that was changed, and for one that none of the signers made for these
    recipients: nothing of it is given out then.

    >>> (key, _), (sign, signer) = generate_key("aes256"), generate_key("ed25519")
    >>> decrypt(encrypt("hello", aes_keys=[key], sign=sign), keys=[key], signers=[signer])
    b'hello'

    >>> decrypt(encrypt(b"hello", passphrase="correct horse battery staple"), passphrase="wrong")
    Traceback (most recent call last):
        ...
    lepton_ai.errors.EnvelopeError: ...
    """
    if (passphrase is None) == (not keys):
        raise UsageError("with what? give either a passphrase or keys")
    if isinstance(token, bytes):
        token = token.decode("ascii", "replace")
    if not isinstance(token, str):
        raise UsageError(f"the envelope must be a text and is a {type(token).__name__}")
    trusted = _listed(() if signers is None else signers)
    if signers is not None and not trusted:
        raise UsageError("signers is empty: nobody could have signed. Name who must have, or leave signers out and rely on nobody")
    opened, unchecked = _native.open(
        token,
        None if passphrase is None else _bytes(passphrase, "passphrase"),
        [_bytes(key, "keys") for key in _listed(keys)],
        None if key_passphrase is None else _bytes(key_passphrase, "key_passphrase"),
        [_bytes(key, "signers") for key in trusted],
    )
    if unchecked:
        warnings.warn("a signature is there and was not checked against anybody: name who must have signed, as signers", stacklevel=2)
    return opened


def generate_key(kind: str = "x25519", *, passphrase: str | bytes | None = None) -> tuple[str, str | None]:
    """A new key and its public half, as the texts of their files (PEM; JWK for ``hybrid`` and ``aes..``, which has no public half).

    ``kind``: ``x25519``, ``p256``, ``rsa3072``, ``rsa4096``, ``hybrid``, ``ed25519`` (for signatures), ``aes128``, ``aes192`` or ``aes256``. Without a
    passphrase the private text is the key itself: who reads it has the key.

    >>> private, public = generate_key()
    >>> decrypt(encrypt("hello", recipients=[public]), keys=[private])
    b'hello'
    """
    return _native.generate_key(kind, None if passphrase is None else _bytes(passphrase, "passphrase"))


def public_key(private: str | bytes, *, passphrase: str | bytes | None = None) -> str | None:
    """The public half of a private key; None for an AES key."""
    return _native.public_key(_bytes(private, "private"), None if passphrase is None else _bytes(passphrase, "passphrase"))


def _listed(keys):
    return [keys] if isinstance(keys, (str, bytes)) else list(keys)


def _bytes(value, name: str) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    raise UsageError(f"{name} must be bytes or a text and is a {type(value).__name__}; write it as bytes first, with json or numpy's tobytes")
