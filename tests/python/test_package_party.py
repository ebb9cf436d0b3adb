"""A party's own model in Python: numpy and scikit-learn, in simulations and over daemons of the wheel's own command."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

if os.environ.get("CI") != "true":
    pytest.importorskip("lepton_ai")
import lepton_ai
import shops
from lepton_ai._toml import job_text
from test_guide import ROOT, Page

TABLE = ROOT / "data" / "breast_cancer.csv"
FEATURES = ["mean_radius", "mean_texture", "worst_radius"]
JOB = {
    "job": {"name": "own-model"},
    "data": {
        "table": str(TABLE),
        "label": "diagnosis",
        "classes": ["benign", "malignant"],
        "features": FEATURES,
        "types": {name: "number" for name in FEATURES},
        "split": {"by": "even", "parties": 3},
    },
    "prepare": {"bounds": {"mean_radius": [0, 40], "mean_texture": [0, 60], "worst_radius": [0, 50]}},
    "training": {"rounds": 12, "learning_rate": 0.5},
}
RECORD = {
    "training.sampling_rate": 0.5,
    "privacy.epsilon": 8,
    "privacy.delta": 1e-5,
    "privacy.clip": 1.0,
    "privacy.learning_rate": 0.3,
}


class Logistic(lepton_ai.Party):
    shapes = [(3,), ()]

    def fit(self, parameters, x, y, config):
        assert [array.dtype for array in parameters] == [np.float32] * 2 and x.dtype == np.float32
        assert config["round"] >= 1 and config["local_epochs"] == 1 and config["optimiser"] == "sgd"
        for _ in range(20):
            slopes = self.gradient(parameters, x, y)
            parameters = [array - config["learning_rate"] * slope / len(y) for array, slope in zip(parameters, slopes)]
        return parameters

    def predict(self, parameters, x):
        weights, intercept = parameters
        return 1 / (1 + np.exp(-(x @ weights + intercept)))

    def gradient(self, parameters, x, y):
        error = self.predict(parameters, x) - y
        return [x.T @ error, error.sum()]


def test_the_examples_of_the_page_run(tmp_path):
    text = (ROOT / "docs" / "own-model.md").read_text(encoding="utf-8")
    parts = [part.split("```")[0] for part in text.split("```python\n")[1:]]
    assert len(parts) == 5
    (tmp_path / "data").symlink_to(ROOT / "data")
    (tmp_path / "page.py").write_text("\n".join(parts))
    done = subprocess.run([sys.executable, "page.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=True)
    accuracy, later, statement, *_ = done.stdout.splitlines()
    assert later.startswith("['mean_radius', 'mean_texture', 'worst_radius'] [")
    assert float(accuracy) > 0.88 and "Each record is protected with epsilon" in statement
    assert "answering for one record at a time" in done.stdout and float(done.stdout.splitlines()[-1]) > 0.88


def simulated(tmp_path, party, **more):
    return lepton_ai.run(JOB, party=party, runs=tmp_path, quiet=True, insecure_seed=5, **more)


def test_a_numpy_party_learns(tmp_path):
    run = simulated(tmp_path, Logistic)
    assert run.metrics["accuracy"] > 0.88 and run.report["model"]["kind"] == "custom"
    assert run.report["model"]["parameters"] == 4
    from safetensors.numpy import load_file

    tensors = load_file(run.folder / "model" / "model.safetensors")
    assert {name: array.shape for name, array in tensors.items()} == {"tensor0": (3,), "tensor1": ()}
    with pytest.raises(lepton_ai.LeptonError, match="the program it belongs to"):
        run.model.predict(TABLE)


def test_records_are_protected_one_by_one(tmp_path):
    rows, asked = [], []

    class Counted(Logistic):
        def fit(self, parameters, x, y, config):
            raise AssertionError("all rows at once, under a goal for records")

        def gradient(self, parameters, x, y):
            rows.append(len(x))
            return super().gradient(parameters, x, y)

        def predict(self, parameters, x):
            asked.append(len(x))
            return super().predict(parameters, x)

    run = simulated(tmp_path, Counted, set=RECORD)
    assert set(rows) == set(asked) == {1}
    assert run.metrics["accuracy"] > 0.75
    assert 0 < run.privacy["epsilon"] <= 8


def test_a_report_of_what_is_released_alone(tmp_path):
    job = {**JOB, "model": {"kind": "logistic"}}
    whole = lepton_ai.run(job, runs=tmp_path, quiet=True, set=RECORD).report
    assert whole["baselines"] and whole["importance"] and whole["scatter"] and whole["parties"][0]["rows_train"]
    for more in ({}, {"party": Logistic}):
        run = lepton_ai.run(JOB if more else job, runs=tmp_path, quiet=True, set=RECORD, released_only=True, **more)
        report = run.report
        assert not (report["baselines"] or report["importance"] or report["scatter"])
        assert all(party[key] is None for party in report["parties"] for key in ("rows_train", "rows_test", "federated", "alone"))
        assert "nothing in it that a real federation would not release" in " ".join(report["notes"])
        assert report["metrics"]["accuracy"] is not None
    assert any("vouches for" in line for line in report["privacy"]["assumptions"])


def test_whole_parties_are_protected(tmp_path):
    class NoGradient(Logistic):
        gradient = None

        def fit(self, parameters, x, y, config):
            return [array + 1.0 for array in parameters], len(y), {"anything": 1.0}

    goal = {"privacy.unit": "party", "privacy.epsilon": 500, "privacy.delta": 1e-3}
    assert simulated(tmp_path, NoGradient, set=goal).privacy["unit"] == "party"
    with pytest.raises(lepton_ai.UsageError, match="a gradient for each record"):
        simulated(tmp_path, NoGradient, set=RECORD)


def test_a_scikit_learn_party_learns(tmp_path):
    from sklearn.linear_model import SGDClassifier

    class Linear(lepton_ai.Party):
        shapes = [(1, 3), (1,)]

        def __init__(self, name):
            super().__init__(name)
            self.model = SGDClassifier(loss="log_loss", learning_rate="constant", eta0=0.05, random_state=1)

        def fit(self, parameters, x, y, config):
            x = x.astype(np.float64)
            self.model.partial_fit(x[:1], y[:1], classes=[0, 1])
            self.model.coef_, self.model.intercept_ = (np.array(array, dtype=np.float64) for array in parameters)
            for _ in range(config["local_epochs"]):
                self.model.partial_fit(x, y)
            return [self.model.coef_, self.model.intercept_]

        def predict(self, parameters, x):
            score = x @ parameters[0][0] + parameters[1][0]
            second = 1 / (1 + np.exp(-score))
            return np.stack([1 - second, second], axis=1)

    assert simulated(tmp_path, Linear).metrics["accuracy"] > 0.88


def KEEP(self, parameters, x, y, config):
    return parameters


def broken(**methods):
    return type("Broken", (Logistic,), methods)


@pytest.mark.parametrize(
    ("party", "words"),
    [
        (broken(fit=lambda self, p, x, y, c: 1 / 0), "ZeroDivisionError"),
        (broken(fit=lambda self, p, x, y, c: p[:1]), r"shapes \[\(3,\)\]"),
        (broken(fit=lambda self, p, x, y, c: [p[0].reshape(1, 3), p[1]]), "arrays of shapes"),
        (broken(fit=lambda self, p, x, y, c: {"w": p[0]}), "must return a list of arrays"),
        (broken(fit=lambda self, p, x, y, c: [p[0] + np.nan, p[1]]), "diverged"),
        (broken(fit=lambda self, p, x, y, c: [p[0] + 1j, p[1]]), "dtype complex"),
        (broken(fit=lambda self, p, x, y, c: [["a", "b", "c"], 0.0]), "dtype"),
        (broken(fit=KEEP, predict=lambda self, p, x: np.zeros(len(x) + 1)), "rows"),
        (broken(fit=KEEP, predict=lambda self, p, x: np.full((len(x), 2), 0.8)), "add up to 1"),
        (broken(fit=KEEP, predict=lambda self, p, x: np.full((len(x), 3), 1 / 3)), "shares of 2 classes"),
        (broken(shapes=[]), "needs shapes"),
        (broken(shapes=[(2,), ()]), "mismatch"),
        (broken(shapes=[(0,)]), "model.shapes"),
    ],
)
def test_what_a_party_does_wrong_is_told(tmp_path, party, words, capfd):
    with pytest.raises(lepton_ai.LeptonError) as caught:
        simulated(tmp_path, party)
    told = str(caught.value) + capfd.readouterr().err + "".join(path.read_text() for path in tmp_path.rglob("events.jsonl"))
    assert re.search(words, told), told


def test_numbers_of_any_layout_are_taken(tmp_path):
    class Odd(Logistic):
        def fit(self, parameters, x, y, config):
            weights, intercept = super().fit(parameters, x, y, config)
            spread = np.zeros(6)
            spread[::2] = weights
            frozen = spread[::2]
            frozen.flags.writeable = False
            return [frozen, np.float16(intercept)]

    assert simulated(tmp_path, Odd).metrics["accuracy"] > 0.88


def test_jobs_and_parties_that_do_not_go_together(tmp_path):
    with pytest.raises(lepton_ai.UsageError, match="trainer at every party"):
        lepton_ai.run({**JOB, "model": {"kind": "custom", "shapes": [[3], []]}}, runs=tmp_path)
    with pytest.raises(lepton_ai.UsageError, match="leave \\[model\\] out"):
        lepton_ai.run({**JOB, "model": {"kind": "logistic"}}, party=Logistic, runs=tmp_path)
    with pytest.raises(lepton_ai.UsageError, match="a party is a subclass"):
        lepton_ai.run(JOB, party=3, runs=tmp_path)
    with pytest.raises(lepton_ai.UsageError, match="has no method"):
        lepton_ai.run(JOB, party=type("Nothing", (), {"shapes": [(3,)], "__init__": lambda self, name: None}), runs=tmp_path)


OWN = """
import numpy as np
import lepton_ai

class Shop(lepton_ai.Party):
    shapes = [(2,), ()]

    def fit(self, parameters, x, y, config):
        return parameters

    def predict(self, parameters, x):
        return 1 / (1 + np.exp(-(x @ parameters[0] + parameters[1])))

    def gradient(self, parameters, x, y):
        error = self.predict(parameters, x) - y
        return [x.T @ error, error.sum()]
"""

BOUNDS = {"tenure": [0, 80], "monthly_charges": [0, 150]}
CHURN = shops.job(
    "own-churn",
    prepare={"missing": "mean", "bounds": BOUNDS},
    model={"kind": "custom", "shapes": [[2], []]},
    training={"rounds": 10, "sampling_rate": 0.2},
    privacy={"epsilon": 3, "delta": 1e-5, "clip": 1.0, "learning_rate": 0.5},
)


def test_the_same_party_joins_a_real_federation(tmp_path):
    command = pathlib.Path(sys.executable).with_name("lepton")
    page = Page(tmp_path, command)

    def with_a_program(mark, body):
        for folder in tmp_path.glob("shop-?"):
            (folder / "shop.py").write_text(OWN)
        return body.replace("lepton party run party.toml", "lepton party run party.toml --python shop:Shop")

    try:
        shops.set_up(page, with_a_program)
        (tmp_path / "own.toml").write_text(job_text(CHURN))
        page.run("lepton run own.toml --federation federation.toml --runs runs --json > report.json", 0)
        report = json.loads((tmp_path / "report.json").read_text())
        assert report["model"]["kind"] == "custom" and report["rounds"] == 10
        assert report["metrics"]["auc"] > 0.7
    finally:
        page.end()
    lonely = shutil.which("lepton", path=os.path.dirname(os.environ.get("LEPTON_BIN", ""))) if "LEPTON_BIN" in os.environ else None
    if lonely:
        done = subprocess.run([lonely, "party", "run", "party.toml", "--python", "shop:Shop"], cwd=tmp_path / "shop-1", capture_output=True, text=True, check=False)
        assert done.returncode == 2 and "pip install lepton-ai" in done.stderr
