"""Vaults: folders of encrypted tables, each column under a key of its own (docs/vault.md)."""

import json
import pathlib

from lepton_ai import _native


class Vault:
    """A vault that a key file opens. Jobs read its tables in place: ``run(job, data=vault / "customers", vault_key=vault.key_file)``."""

    def __init__(self, path, key_file):
        self.path, self.key_file = pathlib.Path(path), pathlib.Path(key_file)

    @classmethod
    def create(cls, path, key_file) -> "Vault":
        """A new vault. ``key_file`` is an AES key's file (:func:`lepton_ai.generate_key`, mode 0600), and is made if there is none."""
        vault = cls(path, key_file)
        vault._call("init", str(vault.path))
        return vault

    def seal(self, csv, *, name: str | None = None) -> None:
        """Encrypts a CSV file into the vault, as a new table or as the next version of one. The file itself stays: remove it yourself."""
        self._call("seal", str(csv), "--vault", str(self.path), *(() if name is None else ("--name", name)))

    def tables(self) -> dict:
        """What is in it (docs/vault.md, ``lepton vault ls --json``)."""
        return json.loads(_native.call(["lepton", "vault", "ls", str(self.path), "--json"]))

    def __truediv__(self, table: str) -> pathlib.Path:
        """The name under which a job reads a table."""
        return self.path / table

    def _call(self, *words: str) -> str:
        return _native.call(["lepton", "vault", *words, "--key-file", str(self.key_file)])

    def __repr__(self):
        return f"Vault({str(self.path)!r})"
