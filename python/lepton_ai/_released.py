"""What stays of a run that an object of this package made for itself: what a federation would have released, and nothing that only a simulation can make from rows."""

import json
import pathlib
import shutil

#: What a report may keep. Left out on purpose: baselines, importance, scatter (made from rows), and timing (of whoever held all rows).
_KEPT = (
    *("format", "lepton_version", "name", "description", "run", "job_sha256", "started", "outcome", "rounds", "rounds_planned", "model", "data", "metrics", "curve"),
    *("privacy", "protection", "parties", "traffic", "insecure", "notes"),
)
_OF_A_PARTY = ("name", "sums_joined", "sums_missed")
_SIMULATED = ("baselines", "importance", "scatter")
_SAYS_SO = ("importance", "scatter", "pooled rows", "per-party")


def released(report: dict) -> dict:
    """The report without what only a simulation has; under a privacy goal also without counts and metrics that carry no noise."""
    kept = {key: report[key] for key in _KEPT if key in report}
    kept["parties"] = [{key: party[key] for key in _OF_A_PARTY if key in party} for party in report.get("parties") or []]
    kept["notes"] = [note for note in report.get("notes") or [] if not any(word in note for word in _SAYS_SO)]
    if report["privacy"]["goal_epsilon"] is not None and not report["data"].get("noised"):
        kept["data"] = {key: report["data"].get(key) for key in ("label", "split")}
        kept["metrics"] = {}
        kept["curve"] = [{key: point.get(key) for key in ("round", "epsilon")} for point in report["curve"]]
    return kept


def prune(folder, report: dict, notes=()) -> dict:
    """Leaves in a run folder the model, the effective job, the signed privacy report with the ledgers it names, and the report as :func:`released` has it, which is returned.
    The page goes too where it was made from more than that."""
    folder = pathlib.Path(folder)
    kept = released(report)
    kept["notes"] += notes
    stays = [folder / name for name in ("model", "job.toml", "privacy.json", "report.json")] + sorted(folder.glob("state/parties/*/ledger.jsonl"))
    if not any(report.get(key) for key in _SIMULATED) and _no_rows(report):
        stays.append(folder / "report.html")
    for path in sorted(folder.rglob("*"), reverse=True):
        if any(path == one or one in path.parents or path in one.parents for one in stays):
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    (folder / "report.json").write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
    return kept


def _no_rows(report: dict) -> bool:
    return not any(value is not None for party in report.get("parties") or [] for key, value in party.items() if key not in _OF_A_PARTY)
