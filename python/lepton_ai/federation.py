"""A real federation: jobs go to its coordinator, and each party decides for itself (docs/operations.md)."""

import json
import pathlib
import tempfile
import time

from lepton_ai import _native, _toml
from lepton_ai.errors import DataError, RefusedError, UsageError
from lepton_ai.running import Run, _job_path

_OVER = ("finished", "failed", "stopped")


class Federation:
    """The federation that a ``federation.toml`` describes, as a scientist's identity reaches it (docs/configuration.md)."""

    def __init__(self, path="federation.toml"):
        self.path = pathlib.Path(path)

    def submit(self, job, *, set=None) -> str:
        """Submits a job (path, TOML text or dict; its columns listed, as a run folder's ``job.toml`` has them) and returns the beginning of its digest.

        The job goes on whether or not anybody waits. Raises :class:`JobError`, and :class:`StorageError` or :class:`LeptonError` where nobody answers.
        """
        with tempfile.TemporaryDirectory(prefix="lepton-", ignore_cleanup_errors=True) as made:
            path = _job_path(job, pathlib.Path(made))
            words = [word for key, value in (set or {}).items() for word in ("--set", _toml.set_text(key, value))]
            return self._call(["run", str(path), "--detach", "--quiet", *words]).strip()

    def jobs(self) -> list[dict]:
        """All jobs of the federation, as ``lepton job list --json`` has them."""
        return json.loads(self._call(["job", "list", "--json"]))

    def wait(self, job: str, *, every: float = 1.0) -> dict:
        """Asks every so many seconds until the job is over, and returns its line of :meth:`jobs`. Ctrl-C ends the waiting, not the job.

        Raises :class:`RefusedError` where a party refused it, :class:`DataError` where it ended without a result.
        """
        while True:
            line = self._line(job)
            if line["state"] == "finished":
                return line
            if line["state"] in _OVER:
                kind = RefusedError if " refused (" in line["words"] else DataError
                raise kind(f"the job is over without a result: {line['words']}")
            time.sleep(every)

    def stop(self, job: str) -> str:
        """Stops a job; what was charged for it stays charged."""
        return self._call(["job", "stop", job]).strip()

    def fetch(self, job: str, folder) -> Run:
        """Fetches model, report and signed privacy report of a finished job into a new folder."""
        self._call(["job", "pull", job, "--out", str(folder)])
        return Run.open(folder)

    def _line(self, job: str) -> dict:
        lines = [line for line in self.jobs() if line["job"].startswith(job) or line["name"] == job]
        if len(lines) != 1:
            raise UsageError(f"{job!r} is {'no job' if not lines else 'more than one job'} of this federation; jobs() lists all")
        return lines[0]

    def _call(self, words: list[str]) -> str:
        return _native.call(["lepton", *words, "--federation", str(self.path)])

    def __repr__(self):
        return f"Federation({str(self.path)!r})"
