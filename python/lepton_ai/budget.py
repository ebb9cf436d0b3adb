"""Lifetime privacy budgets of data sets, in a durable ledger."""

import json
import pathlib
import tempfile

from lepton_ai import _native
from lepton_ai.tables import Dataset


class Budget:
    """The ledger in a file: every run that names it is charged to the budgets of the rows that it reads, before anything leaves, and is refused where they do
    not cover it. It outlives jobs, restarts and crashes (docs/ledger.md). The same rows under another name get no second budget.
    """

    def __init__(self, path):
        self.path = pathlib.Path(path)

    def set(self, name: str, table, *, epsilon: float, delta: float, id: str | None = None, unit: str = "record", vault_key=None, plan=()) -> dict:
        """Gives the rows of ``table`` a budget, once and for life: no more than ``epsilon`` at ``delta`` over all jobs together. ``id``: a column that tells rows
        apart for good. ``unit``: ``record``, ``person`` (needs ``id``) or ``party``. ``plan``: paces such as ``"0.1/job"`` or ``"0.25/90d"``. The state as :meth:`show`.
        """
        words = ["set", "--data", str(name), "--epsilon", repr(float(epsilon)), "--delta", repr(float(delta)), "--unit", unit]
        words += ["--id", id] if id is not None else []
        words += ["--vault-key", str(vault_key)] if vault_key is not None else []
        words += [word for pace in plan for word in ("--plan", pace)]
        with tempfile.TemporaryDirectory(prefix="lepton-", ignore_cleanup_errors=True) as made:
            path = Dataset(table)._path(pathlib.Path(made), "table")
            return self._call([*words, "--table", str(path)])

    def show(self) -> dict:
        """What is spent and what is left (docs/json.md, ``lepton budget --json``)."""
        return self._call(["show"])

    def history(self) -> dict:
        """Every entry: budgets, tables, jobs, charges."""
        return self._call(["history"])

    def verify(self) -> dict:
        """Checks every entry and the chain. Raises where something was taken away or changed."""
        return self._call(["verify"])

    def _call(self, words: list[str]) -> dict:
        return json.loads(_native.call(["lepton", "budget", *words, "--ledger", str(self.path), "--json"]))

    def __repr__(self):
        return f"Budget({str(self.path)!r})"
