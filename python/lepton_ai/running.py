"""``lepton_ai.run``: a whole federation simulated on this machine, from the job to the report."""

import json
import os
import pathlib
import sys
import tempfile

from lepton_ai import _native, _toml
from lepton_ai.errors import UsageError
from lepton_ai.model import Model
from lepton_ai.party import _factory, custom_model
from lepton_ai.tables import Dataset


class Run:
    """A finished run.

    ``folder``: the run folder. ``report``: the report as a dict (docs/json.md); its ``baselines``, ``importance``, ``scatter`` and the parties' exact numbers are made
    from raw rows, by the simulation, and are not covered by any privacy goal (``released_only`` leaves them out). The run folder's ``state`` holds the parties' keys. ``low_budgets``: warnings of lifetime budgets that are nearly spent.
    """

    def __init__(self, folder, report: dict, low_budgets=()):
        self.folder = pathlib.Path(folder)
        self.report = report
        self.low_budgets = list(low_budgets)

    @classmethod
    def open(cls, folder) -> "Run":
        """A run of before, from its folder."""
        folder = pathlib.Path(folder)
        path = folder / "report.json"
        if not path.is_file():
            raise UsageError(f"{folder} is no finished run: it has no report.json")
        return cls(folder, json.loads(path.read_text(encoding="utf-8")))

    @property
    def model(self) -> Model:
        """The trained model."""
        return Model.load(self.folder / "model")

    @property
    def metrics(self) -> dict:
        """Metrics of the final model on the hold-out rows of all parties; noised and paid for under a privacy goal. Absent ones do not apply."""
        return {name: value for name, value in self.report["metrics"].items() if value is not None and value != []}

    @property
    def rounds(self) -> list[dict]:
        """The learning curve: loss, accuracy, AUC and epsilon spent after each evaluated round."""
        return self.report["curve"]

    @property
    def privacy(self) -> dict:
        """The privacy statement in numbers; every number is None without a goal."""
        return self.report["privacy"]

    @property
    def statement(self) -> str:
        """The privacy statement in words."""
        privacy = self.privacy
        lines = list(self.report["insecure"])
        if privacy["epsilon"] is not None and not any("insecure_seed" in line for line in lines):
            lines.append(
                f"Each {privacy['unit'] or 'record'} is protected with epsilon {_up(privacy['epsilon'])} (delta {privacy['delta']:g}) against the public, "
                f"and {_up(privacy['epsilon_coordinator'])} against the coordinator with {self.report['protection']['colluders']} colluding parties; "
                f"goal {privacy['goal_epsilon']}."
            )
            if self.report["model"]["kind"] == "custom" and privacy["unit"] != "party":
                lines.append("This rests on the parties' own program answering for one record at a time.")
        return "\n".join(lines)

    @property
    def report_html(self) -> pathlib.Path:
        """The report for a browser."""
        return self.folder / "report.html"

    def __repr__(self):
        shown = ", ".join(f"{name}={value:.4f}" for name, value in self.metrics.items() if isinstance(value, float) and name != "rows")
        return f"Run({self.report['name']!r}, {self.report['rounds']} rounds, {shown})"

    def _repr_html_(self) -> str:
        from lepton_ai._html import run_html

        return run_html(self)


def run(
    job=None,
    *,
    data=None,
    party_data=(),
    set=None,
    insecure_seed: int | None = None,
    ledger=None,
    vault_key=None,
    scenario=None,
    runs="runs",
    run_dir=None,
    resume=None,
    comparison: bool = False,
    released_only: bool = False,
    party=None,
    on_event=None,
    quiet: bool = False,
) -> Run:
    """Runs a job as ``lepton run`` does and waits for its end.

    ``job``: the path of a job file, its TOML text, or a dict of its tables (docs/job.md). ``data``: one table, dealt to parties as the job says; ``party_data``: one table for each party. Tables are whatever
    :class:`Dataset` takes. ``set``: a dict of ``{"section.key": value}`` that overrides the job. ``insecure_seed`` makes a run repeatable and its privacy worthless,
    and marks every report. ``ledger``: the lifetime budget that is charged (:class:`Budget`). ``runs`` or ``run_dir``: where the run folder goes. ``resume``: the
    folder of an interrupted run, and nothing else. ``comparison``: also train pooled and single-party models, which only a simulation can.
    ``released_only``: leave out of the report what a simulation makes of the rows without protection (baselines, the parties' row counts, importance, scatter): then
    it holds what a real federation would release, and may be handed on as the privacy statement says.

    ``party``: a subclass of :class:`Party`, or a function that gives one for a party's name: it trains and predicts at every party in place of the models
    that come with Lepton (``model.kind = "custom"``, which need not be written then).

    ``on_event`` gets each event of the run as a dict, in the calling thread; what it raises stops the run, and so does Ctrl-C: nothing is lost then, and
    ``resume`` goes on, but for jobs and tables that were no files. Without ``on_event`` a line for each evaluated round goes to standard error (``quiet``: none).

    Raises :class:`JobError`, :class:`DataError`, :class:`RefusedError`, :class:`BudgetError`, :class:`StorageError`.
    """
    if (job is None) == (resume is None):
        raise UsageError("give a job, or the folder of a run to resume")
    if data is not None and len(party_data):
        raise UsageError("give data or party_data, not both")
    overrides = {str(key): value for key, value in (set or {}).items()}
    if insecure_seed is not None:
        overrides["job.insecure_seed"] = int(insecure_seed)
    if party is not None and resume is None:
        overrides = {**custom_model(party, job), **overrides}
    with tempfile.TemporaryDirectory(prefix="lepton-", ignore_cleanup_errors=True) as made:
        folder = pathlib.Path(made)
        wanted = {
            "job": None if job is None else _job_path(job, folder),
            "resume": _path(resume),
            "set": [_toml.set_text(key, value) for key, value in overrides.items()],
            "data": None if data is None else Dataset(data)._path(folder, "table"),
            "party_data": [_party_path(table, folder, number) for number, table in enumerate(party_data, 1)],
            "vault_key": _path(vault_key),
            "scenario": _path(scenario),
            "runs": pathlib.Path(runs),
            "run_dir": _path(run_dir),
            "ledger": _path(ledger.path if hasattr(ledger, "path") else ledger),
            "comparison": bool(comparison),
            "released_only": bool(released_only),
        }
        told = on_event if on_event is not None else (_silent if quiet else _line)
        place, report, low = _native.run(wanted, lambda text: told(json.loads(text)), None if party is None else _factory(party))
    return Run(place, json.loads(report), low)


def _path(path):
    return None if path is None else pathlib.Path(path)


def _party_path(table, folder, number):
    return Dataset(table)._path(folder, f"party-{number}")


def _job_path(job, folder: pathlib.Path) -> pathlib.Path:
    if isinstance(job, os.PathLike) or (isinstance(job, str) and "\n" not in job and "=" not in job):
        return pathlib.Path(job)
    if isinstance(job, dict):
        source = job.get("data", {}).get("table") if isinstance(job.get("data"), dict) else None
        if isinstance(source, (str, os.PathLike)):
            job = {**job, "data": {**job["data"], "table": str(pathlib.Path.cwd() / source)}}
        text = _toml.job_text(job)
    elif isinstance(job, str):
        text = _toml.anchored(job, pathlib.Path.cwd())
    else:
        raise UsageError(f"a job is a path, a TOML text or a dict, not a {type(job).__name__}")
    path = folder / "job.toml"
    path.write_text(text, encoding="utf-8")
    return path


def _silent(_event: dict) -> None:
    """Tells nobody."""


def _line(event: dict) -> None:
    """One line on standard error for each evaluated round."""
    point = event.get("point")
    if event.get("event") == "evaluated" and point:
        figures = [f"{name} {point[name]:.4f}" for name in ("loss", "accuracy", "auc") if point.get(name) is not None]
        if point.get("epsilon") is not None:
            figures.append(f"epsilon {_up(point['epsilon'])}")
        print(f"round {point['round']}: {' · '.join(figures)}", file=sys.stderr)


def _up(epsilon: float) -> str:
    """Two decimals, never too low."""
    import math

    return f"{math.ceil(epsilon * 100) / 100:.2f}"
