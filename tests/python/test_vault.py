"""Encrypted Parquet both ways with pyarrow: it opens our files with the keys, and we open what it wrote."""

import base64
import csv
import datetime
import json
import os
import subprocess

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

ROWS = [("age", "plan", "spend"), ("41", "gold", "1.5"), ("", "basic", "2"), ("23", "", ""), ("64", "gold", "-7.25")]


class Keys(pe.KmsClient):
    """Master keys by name; a key is wrapped by AES-GCM with the name as associated data (docs/protocols/vault.md, VA-06)."""

    def __init__(self, keys):
        super().__init__()
        self.keys = keys

    def wrap_key(self, key_bytes, master_key_identifier):
        nonce = os.urandom(12)
        sealed = AESGCM(self.keys[master_key_identifier]).encrypt(nonce, key_bytes, master_key_identifier.encode())
        return base64.b64encode(nonce + sealed)

    def unwrap_key(self, wrapped_key, master_key_identifier):
        raw = base64.b64decode(wrapped_key)
        key = self.keys.get(master_key_identifier)
        if key is None:
            raise KeyError(f"no key {master_key_identifier}")
        return AESGCM(key).decrypt(raw[:12], raw[12:], master_key_identifier.encode())


def factory(keys):
    return pe.CryptoFactory(lambda _config: Keys(keys))


def read(path, keys, columns=None):
    properties = factory(keys).file_decryption_properties(
        pe.KmsConnectionConfig(), pe.DecryptionConfiguration(cache_lifetime=datetime.timedelta(minutes=1))
    )
    return pq.ParquetFile(path, decryption_properties=properties).read(columns=columns)


@pytest.fixture
def vault(lepton, tmp_path):
    with (tmp_path / "t.csv").open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(ROWS)
    lepton("vault", "init", "v", "--key-file", "root.key", cwd=tmp_path)
    lepton("vault", "seal", "t.csv", "--vault", "v", "--key-file", "root.key", cwd=tmp_path)
    return tmp_path


def exported(vault, lepton, columns):
    name = f"{columns.replace(',', '-')}.keys.json"
    arguments = ("--key-file", "root.key", "--columns", columns, "--parquet-keys", name)
    lepton("vault", "grant", "v/t", *arguments, cwd=vault)
    return {name: base64.b64decode(key) for name, key in json.loads((vault / name).read_text()).items()}


def data_file(vault):
    (path,) = (vault / "v" / "t").glob("*.parquet")
    return path


def test_pyarrow_opens_our_files_with_the_keys(vault, lepton):
    table = read(data_file(vault), exported(vault, lepton, "age,plan,spend"))
    assert table.column_names == ["age", "plan", "spend"]
    assert table["age"].to_pylist() == [41, None, 23, 64]
    assert table["plan"].to_pylist() == ["gold", "basic", None, "gold"]
    assert table["spend"].to_pylist() == [1.5, 2, None, -7.25]


def test_the_keys_of_two_columns_do_not_open_the_third(vault, lepton):
    keys = exported(vault, lepton, "age,spend")
    assert sorted(name.rsplit(":", 1)[1] for name in keys) == ["c1", "c3", "footer"]
    with pytest.raises(KeyError, match=":c2"):
        read(data_file(vault), keys, columns=["plan"])


def test_other_keys_open_nothing(vault, lepton):
    keys = {name: bytes(32) for name in exported(vault, lepton, "age")}
    with pytest.raises((OSError, InvalidTag, pa.ArrowException)):
        read(data_file(vault), keys, columns=["age"])


def test_plain_readers_see_nothing(vault):
    with pytest.raises((OSError, pa.ArrowException)):
        pq.read_table(data_file(vault))
    bytes_on_disk = data_file(vault).read_bytes()
    assert b"gold" not in bytes_on_disk and b"spend" not in bytes_on_disk


@pytest.mark.parametrize("bits", [128, 256])
@pytest.mark.parametrize("double", [True, False], ids=["double", "single"])
@pytest.mark.parametrize("columns", [True, False], ids=["columns", "uniform"])
@pytest.mark.parametrize("plaintext_footer", [True, False], ids=["plain-footer", "sealed-footer"])
def test_we_open_what_pyarrow_wrote(tmp_path, lepton, bits, double, columns, plaintext_footer):
    keys = {"footer": os.urandom(32), "one": os.urandom(16), "two": os.urandom(24)}
    table = pa.table(
        {
            "age": pa.array([41, None, 23], pa.int64()),
            "plan": pa.array(["gold", "basic", None]),
            "spend": pa.array([1.5, 2.0, None], pa.float32()),
            "left": pa.array([True, False, None]),
        }
    )
    settings = {"footer_key": "footer", "data_key_length_bits": bits, "double_wrapping": double}
    settings |= {"plaintext_footer": plaintext_footer}
    # Without column keys the footer's key encrypts everything.
    settings |= {"column_keys": {"one": ["age", "left"], "two": ["plan", "spend"]}} if columns else {"uniform_encryption": True}
    properties = factory(keys).file_encryption_properties(
        pe.KmsConnectionConfig(), pe.EncryptionConfiguration(**settings)
    )
    with pq.ParquetWriter(tmp_path / "p.parquet", table.schema, encryption_properties=properties) as writer:
        writer.write_table(table)
    text = json.dumps({name: base64.b64encode(key).decode() for name, key in keys.items()})
    (tmp_path / "keys.json").write_text(text)
    (tmp_path / "keys.json").chmod(0o600)
    lepton("vault", "init", "v", "--key-file", "root.key", cwd=tmp_path)
    root = ("--key-file", "root.key")
    lepton("vault", "seal", "p.parquet", "--vault", "v", *root, "--parquet-keys", "keys.json", cwd=tmp_path)
    printed = lepton("vault", "open", "v/p", *root, cwd=tmp_path)
    rows = list(csv.reader(printed.splitlines()))
    assert rows == [
        ["age", "plan", "spend", "left"],
        ["41", "gold", "1.5", "true"],
        ["", "basic", "2", "false"],
        ["23", "", "", ""],
    ]


def test_a_damaged_file_of_another_tool_is_refused(tmp_path, lepton):
    keys = {"footer": os.urandom(16)}
    table = pa.table({"age": [1.0, 2.0, 3.0]})
    properties = factory(keys).file_encryption_properties(
        pe.KmsConnectionConfig(), pe.EncryptionConfiguration(footer_key="footer", uniform_encryption=True)
    )
    with pq.ParquetWriter(tmp_path / "p.parquet", table.schema, encryption_properties=properties) as writer:
        writer.write_table(table)
    whole = (tmp_path / "p.parquet").read_bytes()
    (tmp_path / "keys.json").write_text(json.dumps({"footer": base64.b64encode(keys["footer"]).decode()}))
    (tmp_path / "keys.json").chmod(0o600)
    lepton("vault", "init", "v", "--key-file", "root.key", cwd=tmp_path)
    command = [os.environ["LEPTON_BIN"], "vault", "seal", "p.parquet", "--vault", "v"]
    command += ["--key-file", "root.key", "--parquet-keys", "keys.json"]
    for at in list(range(4, len(whole), max(1, len(whole) // 24))):
        changed = bytearray(whole)
        changed[at] ^= 0x40
        (tmp_path / "p.parquet").write_bytes(changed)
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
        # A byte that authentication does not reach, as in the names of key metadata that nobody reads, may pass.
        assert done.returncode in (0, 1, 2), f"byte {at}: {done.stderr}"
        if done.returncode == 0:
            printed = lepton("vault", "open", "v/p", "--key-file", "root.key", cwd=tmp_path)
            assert printed == "age\n1\n2\n3\n", f"byte {at}"
        assert "panicked" not in done.stderr or "damaged" in done.stderr, f"byte {at}: {done.stderr}"
