"""Envelopes and keys, both ways with other implementations, and with the formats of docs/protocols/envelope.md written out again here."""

import base64
import hashlib
import hmac
import json
import os
import shutil
import struct
import subprocess

import pytest
from blake3_by_hand import derive_key
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, keywrap, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, mlkem, padding, x25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from joserfc import jwe as joserfc_jwe
from joserfc import jwk as joserfc_jwk
from joserfc import jws as joserfc_jws
from jwcrypto import jwa, jwe, jwk, jws

PASSPHRASE = b"correct horse battery staple"
VALUE = "Grüße, a value that others read".encode()
KINDS = ["rsa-3072", "p256", "x25519", "aes-128", "aes-192", "aes-256"]
CIPHERS = {"aes-128": "A128GCM", "aes-192": "A192GCM", "aes-256": "A256GCM"}
ALGS = {
    "rsa-3072": "RSA-OAEP-256",
    "p256": "ECDH-ES+A256KW",
    "x25519": "ECDH-ES+A256KW",
    "aes-128": "A128KW",
    "aes-192": "A192KW",
    "aes-256": "A256KW",
}
CHUNK = 65536
# Their defaults are too low for what is written here, or refuse what they do not know.
THEIRS = joserfc_jwe.JWERegistry(algorithms=[*ALGS.values(), *CIPHERS.values(), "PBES2-HS512+A256KW", "dir"])
THEIRS.strict_check_header = False
jwa.default_max_pbkdf2_iterations = 1_000_000
OPEN = ["dir", "PBES2-HS512+A256KW", "PBES2-HS256+A128KW", *ALGS.values(), *CIPHERS.values()]


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def framed(*parts):
    return b"".join(struct.pack("<Q", len(part)) + part for part in parts)


def commitment(cek, enc="A256GCM"):
    """EV-02."""
    return b64(hmac.digest(cek, b"lepton envelope v1 commitment\0" + enc.encode(), "sha256"))


def canonical(value):
    """EV-06, for what headers hold."""
    if isinstance(value, str):
        return b"s" + framed(value.encode())
    if isinstance(value, int):
        return b"n" + struct.pack("<Q", value)
    members = b"".join(canonical(name) + canonical(value[name]) for name in sorted(value))
    return b"o" + framed(struct.pack("<Q", len(value))) + members


def list_hash(recipients):
    """EV-06."""
    parts = [part for header, key in recipients for part in (canonical(header), key)]
    return b64(hashlib.sha256(framed(b"lepton envelope v1 recipients", *parts)).digest())


def expand(secret, salt, info):
    return HKDF(hashes.SHA256(), 32, salt, info).derive(secret)


class Desk:
    """A folder with keys of every kind, and the command in it."""

    def __init__(self, folder):
        self.folder = folder
        self.write("pw", PASSPHRASE + b"\n")
        for kind in [*KINDS, "hybrid", "ed25519"]:
            public = [] if kind.startswith("aes") else ["--public", f"{kind}.jwk"]
            self.call("vault", "key", "generate", "--kind", kind, "--out", f"{kind}.key", *public, "--format", "jwk", "--insecure-plain")

    def write(self, name, data):
        path = self.folder / name
        path.unlink(missing_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
            file.write(data)
        return name

    def run(self, *arguments, data=b""):
        program = os.environ.get("LEPTON_BIN")
        assert program, "set LEPTON_BIN to the built program; ./test does"
        return subprocess.run([program, *arguments], cwd=self.folder, input=data, capture_output=True, timeout=120, check=False)

    def call(self, *arguments, data=b""):
        done = self.run(*arguments, data=data)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def refused(self, *arguments, data=b""):
        done = self.run(*arguments, data=data)
        assert done.returncode == 1, done
        assert done.stdout == b""
        return done.stderr.decode()

    def encrypt(self, kind, *more, data=VALUE):
        to = ["--key-file", f"{kind}.key"] if kind.startswith("aes") else ["--recipient", f"{kind}.jwk"]
        return self.call("encrypt", *to, *more, data=data)

    def jwk(self, kind):
        return json.loads((self.folder / f"{kind}.key").read_text())


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    return Desk(tmp_path_factory.mktemp("envelopes"))


@pytest.mark.parametrize("cipher", CIPHERS)
@pytest.mark.parametrize("kind", KINDS)
def test_others_open_ours(desk, kind, cipher):
    text = desk.encrypt(kind, "--cipher", cipher).decode()
    token = jwe.JWE(algs=OPEN)
    token.deserialize(text, jwk.JWK(**desk.jwk(kind)))
    assert token.payload == VALUE
    assert json.loads(token.objects["protected"])["enc"] == CIPHERS[cipher]
    key = joserfc_jwk.import_key(desk.jwk(kind))
    assert joserfc_jwe.decrypt_compact(text, key, registry=THEIRS).plaintext == VALUE


@pytest.mark.parametrize("enc", CIPHERS.values())
@pytest.mark.parametrize("kind", KINDS)
def test_we_open_others(desk, kind, enc):
    header = {"alg": ALGS[kind], "enc": enc}
    token = jwe.JWE(VALUE, protected=json.dumps(header), algs=OPEN)
    token.add_recipient(jwk.JWK(**desk.jwk(kind)))
    for compact in (True, False):
        text = token.serialize(compact)
        assert desk.call("decrypt", "--key-file", f"{kind}.key", data=text.encode()) == VALUE
    key = joserfc_jwk.import_key(desk.jwk(kind))
    text = joserfc_jwe.encrypt_compact(header, VALUE, key, registry=THEIRS)
    done = desk.run("decrypt", "--key-file", f"{kind}.key", data=text.encode())
    assert done.returncode == 0 and done.stdout == VALUE
    assert "did not bind it to its key" in done.stderr.decode()
    broken = text[:-3] + ("A" if text[-3] != "A" else "B") + text[-2:]
    assert "does not open" in desk.refused("decrypt", "--key-file", f"{kind}.key", data=broken.encode())


@pytest.mark.parametrize("kind", ["aes-128", "aes-192", "aes-256"])
def test_direct_encryption_is_opened(desk, kind):
    """`dir` is read and never written (EV-01)."""
    token = jwe.JWE(VALUE, protected=json.dumps({"alg": "dir", "enc": CIPHERS[kind]}), algs=OPEN)
    token.add_recipient(jwk.JWK(**desk.jwk(kind)))
    assert desk.call("decrypt", "--key-file", f"{kind}.key", data=token.serialize(True).encode()) == VALUE


def test_several_recipients_each_open(desk):
    to = [part for kind in ("rsa-3072", "p256", "x25519") for part in ("--recipient", f"{kind}.jwk")]
    text = desk.call("encrypt", *to, "--key-file", "aes-192.key", data=VALUE).decode()
    whole = json.loads(text)
    for kind in ("rsa-3072", "p256", "x25519", "aes-192"):
        token = jwe.JWE(algs=OPEN)
        token.deserialize(text, jwk.JWK(**desk.jwk(kind)))
        assert token.payload == VALUE
    protected = json.loads(unb64(whole["protected"]))
    assert protected["lepton.rl"] == list_hash([(entry["header"], unb64(entry["encrypted_key"])) for entry in whole["recipients"]])


def test_several_recipients_of_others_need_a_commitment(desk):
    """EV-04, and EV-02 and EV-06 by this file's own hand."""
    token = jwe.JWE(VALUE, protected='{"enc":"A256GCM"}', algs=OPEN)
    for kind in ("aes-128", "x25519"):
        token.add_recipient(jwk.JWK(**desk.jwk(kind)), header=json.dumps({"alg": ALGS[kind]}))
    assert "does not commit" in desk.refused("decrypt", "--key-file", "aes-128.key", data=token.serialize().encode())
    cek, entries = os.urandom(32), []
    for kind in ("aes-128", "aes-256"):
        key = unb64(desk.jwk(kind)["k"])
        entries.append(({"alg": ALGS[kind], "kid": kind}, keywrap.aes_key_wrap(key, cek)))
    text = by_hand({"enc": "A256GCM", "lepton.kc": commitment(cek), "lepton.rl": list_hash(entries)}, cek, entries)
    for kind in ("aes-128", "aes-256"):
        assert desk.call("decrypt", "--key-file", f"{kind}.key", data=text) == VALUE
    unbound = by_hand({"enc": "A256GCM", "lepton.kc": commitment(cek), "lepton.rl": list_hash(entries[:1])}, cek, entries)
    assert "does not open" in desk.refused("decrypt", "--key-file", "aes-128.key", data=unbound)


def by_hand(protected, cek, entries):
    """A JWE in general JSON."""
    protected, nonce = b64(json.dumps(protected).encode()), os.urandom(12)
    sealed = AESGCM(cek).encrypt(nonce, VALUE, protected.encode())
    recipients = [{"header": header, "encrypted_key": b64(key)} for header, key in entries]
    return json.dumps(
        {"protected": protected, "recipients": recipients, "iv": b64(nonce), "ciphertext": b64(sealed[:-16]), "tag": b64(sealed[-16:])}
    ).encode()


def test_the_portable_passphrase_form(desk):
    text = desk.call("encrypt", "--passphrase-file", "pw", "--portable", data=VALUE).decode()
    key = jwk.JWK.from_password(PASSPHRASE.decode())
    token = jwe.JWE(algs=OPEN)
    token.deserialize(text, key)
    assert token.payload == VALUE
    theirs = joserfc_jwe.decrypt_compact(text, joserfc_jwk.OctKey.import_key(PASSPHRASE), registry=THEIRS)
    assert theirs.plaintext == VALUE
    for alg in ("PBES2-HS512+A256KW", "PBES2-HS256+A128KW"):
        token = jwe.JWE(VALUE, protected=json.dumps({"alg": alg, "enc": "A256GCM"}), algs=OPEN)
        token.add_recipient(key)
        refused = desk.refused("decrypt", "--passphrase-file", "pw", data=token.serialize(True).encode())
        assert "does not commit" in refused
    # With the commitment another tool's is opened: PBKDF2 and key wrap here, by hand.
    cek, salt = os.urandom(32), os.urandom(16)
    kek = hashlib.pbkdf2_hmac("sha256", PASSPHRASE, b"PBES2-HS256+A128KW\0" + salt, 5000, 16)
    header = {"alg": "PBES2-HS256+A128KW", "enc": "A256GCM", "p2s": b64(salt), "p2c": 5000, "lepton.kc": commitment(cek)}
    text = by_hand(header, cek, [({}, keywrap.aes_key_wrap(kek, cek))])
    assert desk.call("decrypt", "--passphrase-file", "pw", data=text) == VALUE


def test_argon2id_is_the_documents(desk):
    text = desk.call("encrypt", "--passphrase-file", "pw", data=VALUE).decode()
    protected, key, nonce, ciphertext, tag = text.split(".")
    header = json.loads(unb64(protected))
    assert header["alg"] == "lepton.ARGON2ID+A256KW"
    kdf = Argon2id(salt=unb64(header["p2s"]), length=32, iterations=header["lepton.t"], lanes=header["lepton.p"], memory_cost=header["lepton.m"])
    cek = keywrap.aes_key_unwrap(kdf.derive(PASSPHRASE), unb64(key))
    assert header["lepton.kc"] == commitment(cek)
    assert AESGCM(cek).decrypt(unb64(nonce), unb64(ciphertext) + unb64(tag), protected.encode()) == VALUE


def hybrid_secret(kem_secret, curve_secret, ek, public):
    """EV-10."""
    info = framed(b"lepton.X25519MLKEM768+A256KW", ek[:1088], ek[1088:], unb64(public["pub"]), unb64(public["x"]))
    return expand(kem_secret + curve_secret, b"lepton X25519MLKEM768 v1", info)


def test_the_hybrid_is_the_documents(desk):
    public = json.loads((desk.folder / "hybrid.jwk").read_text())
    private = desk.jwk("hybrid")
    kem_secret, kem_ciphertext = mlkem.MLKEM768PublicKey.from_public_bytes(unb64(public["pub"])).encapsulate()
    mine = x25519.X25519PrivateKey.generate()
    raw = (serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    ek = kem_ciphertext + mine.public_key().public_bytes(*raw)
    curve_secret = mine.exchange(x25519.X25519PublicKey.from_public_bytes(unb64(public["x"])))
    cek = os.urandom(32)
    key = keywrap.aes_key_wrap(hybrid_secret(kem_secret, curve_secret, ek, public), cek)
    header = {"alg": "lepton.X25519MLKEM768+A256KW", "enc": "A256GCM", "ek": b64(ek), "lepton.kc": commitment(cek)}
    assert desk.call("decrypt", "--key-file", "hybrid.key", data=by_hand(header, cek, [({}, key)])) == VALUE
    assert unb64(private["priv"])[1152:2336] == unb64(public["pub"])


def open_stream(stream, file_key_of):
    """EV-13 and EV-14, written out again."""
    assert stream.startswith(b"LEPTON STREAM 1\n")
    (length,) = struct.unpack(">I", stream[16:20])
    start, body = stream[: 20 + length], stream[20 + length :]
    key = expand(file_key_of(start[20:].decode()), hashlib.sha256(start).digest(), b"lepton stream v1 chunks")
    chunks = [body[i : i + CHUNK + 16] for i in range(0, len(body), CHUNK + 16)]
    nonces = [bytes(3) + struct.pack(">Q", i) + bytes([i == len(chunks) - 1]) for i in range(len(chunks))]
    return b"".join(AESGCM(key).decrypt(nonce, chunk, None) for nonce, chunk in zip(nonces, chunks))


@pytest.mark.parametrize("length", [0, 1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_streams_are_the_documents(desk, length):
    plain = os.urandom(length)
    key = jwk.JWK(**desk.jwk("x25519"))

    def file_key_of(header):
        token = jwe.JWE(algs=OPEN)
        token.deserialize(header, key)
        assert json.loads(token.objects["protected"])["typ"] == "lepton-stream"
        return token.payload

    stream = desk.encrypt("x25519", "--format", "stream", data=plain)
    assert open_stream(stream, file_key_of) == plain
    assert desk.call("decrypt", "--key-file", "x25519.key", data=made_stream(desk, plain)) == plain


def made_stream(desk, plain):
    """A stream to the AES and the X25519 key's holder, made here."""
    file_key, cek = os.urandom(32), os.urandom(32)
    protected = {"alg": "ECDH-ES+A256KW", "enc": "A256GCM", "typ": "lepton-stream", "lepton.kc": commitment(cek)}
    token = jwe.JWE(file_key, protected=json.dumps(protected), algs=OPEN)
    token.cek = cek
    token.add_recipient(jwk.JWK(**desk.jwk("x25519")))
    header = token.serialize(True).encode()
    start = b"LEPTON STREAM 1\n" + struct.pack(">I", len(header)) + header
    key = expand(file_key, hashlib.sha256(start).digest(), b"lepton stream v1 chunks")
    chunks = [plain[i : i + CHUNK] for i in range(0, len(plain), CHUNK)] or [b""]
    body = [
        AESGCM(key).encrypt(bytes(3) + struct.pack(">Q", i) + bytes([i == len(chunks) - 1]), chunk, None) for i, chunk in enumerate(chunks)
    ]
    return start + b"".join(body)


def test_rsa_and_gcm_by_hand(desk):
    protected, key, nonce, ciphertext, tag = desk.encrypt("rsa-3072").decode().split(".")
    desk.call("vault", "key", "export", "rsa-3072.key", "--private", "--insecure-plain", "--format", "pem", "--out", "by-hand.pem")
    private = serialization.load_pem_private_key((desk.folder / "by-hand.pem").read_bytes(), None)
    oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
    cek = private.decrypt(unb64(key), oaep)
    assert json.loads(unb64(protected))["lepton.kc"] == commitment(cek)
    assert AESGCM(cek).decrypt(unb64(nonce), unb64(ciphertext) + unb64(tag), protected.encode()) == VALUE


@pytest.mark.parametrize("kind", KINDS)
def test_keys_cross_as_jwk(desk, kind):
    ours = jwk.JWK(**desk.jwk(kind))
    if not kind.startswith("aes"):
        shown = json.loads(desk.call("vault", "key", "show", f"{kind}.jwk", "--json"))
        assert shown[0]["thumbprint"] == ours.thumbprint()
        assert json.loads(ours.export_public()) == json.loads((desk.folder / f"{kind}.jwk").read_text())
    made = {
        "rsa-3072": {"kty": "RSA", "size": 3072},
        "p256": {"kty": "EC", "crv": "P-256"},
        "x25519": {"kty": "OKP", "crv": "X25519"},
    }.get(kind) or {"kty": "oct", "size": int(kind[4:])}
    theirs = jwk.JWK.generate(**made)
    name = desk.write(f"theirs-{kind}.jwk", theirs.export().encode())
    desk.call("vault", "key", "import", name, "--out", f"imported-{kind}", "--format", "jwk", "--insecure-plain")
    assert json.loads((desk.folder / f"imported-{kind}").read_text()) == json.loads(theirs.export())


def openssl(desk, *arguments):
    program = shutil.which("openssl")
    if not program:
        pytest.skip("no openssl here")
    done = subprocess.run([program, *arguments], cwd=desk.folder, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


OPENSSL = {
    "rsa-3072": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:3072"],
    "p256": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "x25519": ["-algorithm", "X25519"],
}


@pytest.mark.parametrize("kind", OPENSSL)
def test_keys_cross_with_openssl(desk, kind):
    name = f"openssl-{kind}"
    openssl(desk, "genpkey", *OPENSSL[kind], "-out", f"{name}.pem")
    (desk.folder / f"{name}.pem").chmod(0o600)
    openssl(desk, "pkey", "-in", f"{name}.pem", "-pubout", "-out", f"{name}.pub")
    text = desk.call("encrypt", "--recipient", f"{name}.pub", data=VALUE)
    assert desk.call("decrypt", "--key-file", f"{name}.pem", data=text) == VALUE
    for how in (["-v2", "aes-256-cbc"], ["-scrypt"], ["-v2", "aes-128-cbc", "-v2prf", "hmacWithSHA512"]):
        locked = desk.write(f"{name}.locked", b"")
        openssl(desk, "pkcs8", "-topk8", *how, "-passout", "file:pw", "-in", f"{name}.pem", "-out", locked)
        assert desk.call("decrypt", "--key-file", locked, "--key-passphrase-file", "pw", data=text) == VALUE
    # And back: ours, encrypted, is read by OpenSSL, to the same key.
    (desk.folder / f"{name}.ours").unlink(missing_ok=True)
    desk.call("vault", "key", "import", f"{name}.pem", "--out", f"{name}.ours", "--passphrase-file", "pw")
    assert b"ENCRYPTED" in (desk.folder / f"{name}.ours").read_bytes()
    again = openssl(desk, "pkey", "-in", f"{name}.ours", "-passin", "file:pw", "-pubout")
    assert again == (desk.folder / f"{name}.pub").read_bytes()
    loaded = serialization.load_pem_private_key((desk.folder / f"{name}.ours").read_bytes(), PASSPHRASE)
    assert loaded.public_key() == serialization.load_pem_public_key(again)
    desk.call("vault", "key", "export", f"{name}.ours", "--key-passphrase-file", "pw", "--out", f"{name}.exported")
    assert (desk.folder / f"{name}.exported").read_bytes() == again


def test_openssl_unwraps_our_rsa(desk):
    protected, key, *_ = desk.encrypt("rsa-3072").decode().split(".")
    desk.call("vault", "key", "export", "rsa-3072.key", "--private", "--insecure-plain", "--format", "pem", "--out", "unwrap.pem")
    desk.write("wrapped", unb64(key))
    oaep = [part for option in ("padding_mode:oaep", "oaep_md:sha256", "mgf1_md:sha256") for part in ("-pkeyopt", f"rsa_{option}")]
    cek = openssl(desk, "pkeyutl", "-decrypt", "-inkey", "unwrap.pem", *oaep, "-in", "wrapped")
    assert commitment(cek) == json.loads(unb64(protected))["lepton.kc"]


@pytest.mark.parametrize("curve", ["P-384", "secp256k1"])
def test_other_curves_and_sizes_are_refused(desk, curve):
    openssl(desk, "genpkey", "-algorithm", "EC", "-pkeyopt", f"ec_paramgen_curve:{curve}", "-out", "odd.pem")
    (desk.folder / "odd.pem").chmod(0o600)
    openssl(desk, "pkey", "-in", "odd.pem", "-pubout", "-out", "odd.pub")
    assert "none of RSA" in desk.refused("encrypt", "--recipient", "odd.pub", data=VALUE)
    openssl(desk, "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", "odd.pem")
    openssl(desk, "pkey", "-in", "odd.pem", "-pubout", "-out", "odd.pub")
    assert "3072 or 4096" in desk.refused("encrypt", "--recipient", "odd.pub", data=VALUE)
    assert "3072 or 4096" in desk.refused("decrypt", "--key-file", "odd.pem", data=b"x")


def signed_header(protected, recipients):
    """EV-19: what a signature is bound to."""
    return b64(hashlib.sha256(framed(b"lepton envelope v1 signed header", protected.encode(), unb64(list_hash(recipients)))).digest())


def thumbprint(public):
    return jwk.JWK(**public).thumbprint()


@pytest.mark.parametrize("kind", KINDS)
def test_others_open_and_check_our_signed_values(desk, kind):
    public = json.loads((desk.folder / "ed25519.jwk").read_text())
    text = desk.encrypt(kind, "--sign", "ed25519.key").decode()
    outer = jwe.JWE(algs=OPEN)
    outer.deserialize(text, jwk.JWK(**desk.jwk(kind)))
    assert json.loads(outer.objects["protected"])["cty"] == "JOSE"
    inner = jws.JWS()
    inner.deserialize(outer.payload.decode(), jwk.JWK(**public))
    assert inner.payload == VALUE
    header = json.loads(inner.objects["protected"])
    assert (header["alg"], header["kid"], header["typ"]) == ("EdDSA", thumbprint(public), "lepton-signed-value")
    protected, key, *_ = text.split(".")
    assert header["lepton.to"] == signed_header(protected, [({}, unb64(key))])
    registry = joserfc_jws.JWSRegistry(algorithms=["EdDSA"])
    registry.strict_check_header = False
    theirs = joserfc_jws.deserialize_compact(outer.payload, joserfc_jwk.OKPKey.import_key(public), registry=registry)
    assert theirs.payload == VALUE
    with pytest.raises(jws.InvalidJWSSignature):
        jws.JWS().deserialize(outer.payload.decode(), jwk.JWK.generate(kty="OKP", crv="Ed25519"))


def signed_by_hand(cek, key, private, to=None, typ="lepton-signed-value"):
    """A signed value to an AES-256 key, made here."""
    protected = {"alg": "A256KW", "enc": "A256GCM", "cty": "JOSE", "lepton.kc": commitment(cek)}
    protected = b64(json.dumps(protected).encode())
    wrapped = keywrap.aes_key_wrap(unb64(key["k"]), cek)
    header = {"alg": "EdDSA", "kid": private.thumbprint(), "lepton.to": to or signed_header(protected, [({}, wrapped)]), "typ": typ}
    inner = jws.JWS(VALUE)
    inner.add_signature(private, protected=json.dumps(header))
    nonce = os.urandom(12)
    sealed = AESGCM(cek).encrypt(nonce, inner.serialize(True).encode(), protected.encode())
    return ".".join([protected, b64(wrapped), b64(nonce), b64(sealed[:-16]), b64(sealed[-16:])]).encode()


def test_we_check_signed_values_of_others(desk):
    private = jwk.JWK.generate(kty="OKP", crv="Ed25519")
    desk.write("theirs.signer", private.export_public().encode())
    to_aes = ["decrypt", "--key-file", "aes-256.key", "--signer", "theirs.signer"]
    text = signed_by_hand(os.urandom(32), desk.jwk("aes-256"), private)
    assert desk.call(*to_aes, data=text) == VALUE
    # Made for somebody else, handed on in a sound envelope to us.
    forwarded = signed_by_hand(os.urandom(32), desk.jwk("aes-256"), private, to=b64(os.urandom(32)))
    assert "made for others" in desk.refused(*to_aes, data=forwarded)
    assert "another key" in desk.refused("decrypt", "--key-file", "aes-256.key", "--signer", "ed25519.jwk", data=text)
    # A token of another use, under the same key.
    token = signed_by_hand(os.urandom(32), desk.jwk("aes-256"), private, typ="JWT")
    assert "no signature" in desk.refused(*to_aes, data=token)
    # A nested JWS of another tool, which does not say whom it is for, is a value as it stands and no signature.
    inner = jws.JWS(VALUE)
    inner.add_signature(private, protected=json.dumps({"alg": "EdDSA", "kid": private.thumbprint()}))
    nested = jwe.JWE(inner.serialize(True).encode(), protected=json.dumps({"alg": "A256KW", "enc": "A256GCM", "cty": "JWT"}), algs=OPEN)
    nested.add_recipient(jwk.JWK(**desk.jwk("aes-256")))
    nested = nested.serialize(True).encode()
    assert desk.call("decrypt", "--key-file", "aes-256.key", data=nested) == inner.serialize(True).encode()
    assert "does not commit" in desk.refused(*to_aes, data=nested)


def content(data):
    return derive_key("lepton envelope v1 stream content", data)


def test_blake3_is_the_official_one():
    """The derive-key column of the official test vectors."""
    context = "BLAKE3 2019-12-27 16:29:52 test vectors context"
    known = {
        0: "2cc39783c223154fea8dfb7c1b1660f2ac2dcbd1c1de8277b0b0dd39b7e50d7d",
        1: "b3e2e340a117a499c6cf2398a19ee0d29cca2bb7404c73063382693bf66cb06c",
        1023: "74a16c1c3d44368a86e1ca6df64be6a2f64cce8f09220787450722d85725dea5",
        1025: "effaa245f065fbf82ac186839a249707c3bddf6d3fdda22d1b95a3c970379bcb",
        7169: "554b0a5efea9ef183f2f9b931b7497995d9eb26f5c5c6dad2b97d62fc5ac31d9",
    }
    for length, expected in known.items():
        assert derive_key(context, bytes(i % 251 for i in range(length))).hex() == expected


def header_plaintext(desk, kind):
    """What the JWE before a stream's chunks holds, and its `typ`."""

    def opened(header):
        token = jwe.JWE(algs=OPEN)
        token.deserialize(header, jwk.JWK(**desk.jwk(kind)))
        opened.typ = json.loads(token.objects["protected"])["typ"]
        return token.payload

    return opened


@pytest.mark.parametrize("length", [0, CHUNK - 96, CHUNK - 95, CHUNK, 2 * CHUNK + 1])
def test_signed_streams_are_the_documents(desk, length):
    """EV-20."""
    plain, opened = os.urandom(length), header_plaintext(desk, "x25519")
    stream = desk.encrypt("x25519", "--format", "stream", "--sign", "ed25519.key", data=plain)
    whole = open_stream(stream, opened)
    assert opened.typ == "lepton-stream-signed"
    data, public, signature = whole[:-96], whole[-96:-64], whole[-64:]
    assert data == plain
    assert b64(public) == json.loads((desk.folder / "ed25519.jwk").read_text())["x"]
    (size,) = struct.unpack(">I", stream[16:20])
    start = hashlib.sha256(stream[: 20 + size]).digest()
    message = framed(b"lepton envelope v1 signed stream") + start + content(plain)
    key = ed25519.Ed25519PublicKey.from_public_bytes(public)
    key.verify(signature, message)
    with pytest.raises(InvalidSignature):
        key.verify(signature, message[:-1] + bytes([message[-1] ^ 1]))


def test_rewrapped_streams_are_the_documents(desk):
    """EV-21: the chunks as they were, their key and the hash of the data in the new header."""
    plain = os.urandom(2 * CHUNK + 5)
    old = desk.encrypt("x25519", data=plain)
    desk.write("envelope", old)
    desk.call("rewrap", "envelope", "--key-file", "x25519.key", "--recipient", "p256.jwk")
    new, opened = (desk.folder / "envelope").read_bytes(), header_plaintext(desk, "p256")
    (size,) = struct.unpack(">I", new[16:20])
    (old_size,) = struct.unpack(">I", old[16:20])
    assert new[20 + size :] == old[20 + old_size :]
    inside = opened(new[20 : 20 + size].decode())
    assert (opened.typ, len(inside)) == ("lepton-stream-rewrapped", 64)
    file_key = header_plaintext(desk, "x25519")(old[20 : 20 + old_size].decode())
    salt = hashlib.sha256(old[: 20 + old_size]).digest()
    assert inside[:32] == expand(file_key, salt, b"lepton stream v1 chunks")
    assert inside[32:] == content(plain)


def test_statements_are_signed_as_the_document_says(desk):
    """KY-02: texts alone, whose RFC 8785 form is Python's sorted and compact one."""
    desk.call("vault", "key", "revoke", "x25519.jwk", "--sign", "ed25519.key", "--reason", "Gerät verloren", "--out", "revoked.json")
    document = json.loads((desk.folder / "revoked.json").read_text())
    signed = {"type": document["type"], "body": document["body"]}
    canonical_form = json.dumps(signed, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    key = ed25519.Ed25519PublicKey.from_public_bytes(bytes.fromhex(document["signature"]["public_key"]))
    key.verify(bytes.fromhex(document["signature"]["signature"]), framed(b"lepton-key-document/1") + canonical_form)
    assert document["body"]["thumbprint"] == thumbprint(json.loads((desk.folder / "x25519.jwk").read_text()))


def test_signing_keys_cross_with_openssl(desk):
    openssl(desk, "genpkey", "-algorithm", "ED25519", "-out", "openssl-sign.pem")
    (desk.folder / "openssl-sign.pem").chmod(0o600)
    openssl(desk, "pkey", "-in", "openssl-sign.pem", "-pubout", "-out", "openssl-sign.pub")
    text = desk.encrypt("x25519", "--sign", "openssl-sign.pem")
    assert desk.call("decrypt", "--key-file", "x25519.key", "--signer", "openssl-sign.pub", data=text) == VALUE
    (desk.folder / "sign.ours").unlink(missing_ok=True)
    desk.call("vault", "key", "import", "openssl-sign.pem", "--out", "sign.ours", "--passphrase-file", "pw")
    again = openssl(desk, "pkey", "-in", "sign.ours", "-passin", "file:pw", "-pubout")
    assert again == (desk.folder / "openssl-sign.pub").read_bytes()
