"""Boosted trees over a federation, held against XGBoost on the pooled rows."""

import json
import os
import pathlib
import sys

import numpy as np
import pandas as pd
import pytest

if os.environ.get("CI") != "true":
    pytest.importorskip("lepton_ai")
    pytest.importorskip("xgboost")
import lepton_ai
import lepton_ai.xgboost
import xgboost
import shops
from lepton_ai import _trees
from lepton_ai._toml import job_text
from test_guide import ROOT, Page

CANCER = ROOT / "data" / "breast_cancer.csv"
DIGITS = ROOT / "data" / "digits.csv"
CHURN = ROOT / "data" / "telecom_churn.csv"
MEASURES = [column for column in pd.read_csv(CANCER, nrows=1) if column != "diagnosis"]
BILL = ["tenure", "internet_service", "streaming_tv", "contract"]


class Trees(lepton_ai.xgboost.XGBoostParty):
    features = len(MEASURES)
    n_estimators = 10
    seen: dict = {}

    def fit(self, parameters, x, y, config):
        self.seen[self.name] = (x.copy(), y.copy())
        return super().fit(parameters, x, y, config)


class Bill(Trees):
    features = 13
    objective = "reg:squarederror"
    n_estimators, max_depth, max_bin, gamma, min_child_weight = 6, 4, 64, 2.0, 20.0


class Digits(Trees):
    features, num_class = 64, 10
    objective = "multi:softprob"
    n_estimators, max_depth, max_bin = 3, 3, 17
    low, high = -0.5, 16.5


def job(table, label, classes, **data):
    said = {"table": str(table), "label": label, "split": {"by": "even", "parties": 3}, **data}
    return {"job": {"name": "trees"}, "data": said if classes is None else {**said, "classes": classes}, "evaluation": {"every": 50}}


JOBS = {
    Trees: job(CANCER, "diagnosis", ["benign", "malignant"]),
    Bill: job(CHURN, "monthly_charges", None, features=BILL, types={"monthly_charges": "number"}),
    Digits: {**job(DIGITS, "digit", [str(digit) for digit in range(10)], types={"digit": "category"}), "prepare": {"scale": "none"}},
}


def simulated(party, folder, more=None):
    party.seen.clear()
    return lepton_ai.run(JOBS.get(party, JOBS[Trees]), party=party, runs=folder, quiet=True, insecure_seed=5, set={"training.rounds": party.rounds(), **(more or {})})


def lower_ends(party, x):
    """Of the bins that these values are in."""
    inner = party("pooled")._edges
    return np.take_along_axis(np.concatenate([inner[:, :1] - 1, inner], axis=1).T, _trees.binned(x, inner), axis=0)


def pooled(party, bins_only):
    """XGBoost on the rows that all parties trained on; `bins_only`: on the lower ends of their bins, so that its cuts are the parties' own."""
    x, y = (np.concatenate(parts) for parts in zip(*party.seen.values()))
    settings = {
        "objective": party.objective, "tree_method": "hist", "max_bin": 4096, "eta": party.learning_rate, "max_depth": party.max_depth,
        "lambda": party.reg_lambda, "gamma": party.gamma, "min_child_weight": party.min_child_weight, "base_score": party("pooled")._start,
    }
    settings |= {"num_class": party.num_class} if party.num_class > 1 else {}
    if bins_only:
        x = lower_ends(party, x)
    return x, y, xgboost.train(settings, xgboost.DMatrix(x, y), party.n_estimators)


@pytest.mark.parametrize("party", [Trees, Bill, Digits])
def test_trees_are_those_of_xgboost_on_the_pooled_rows(party, tmp_path):
    run = simulated(party, tmp_path)
    x, y, whole = pooled(party, bins_only=True)
    ours = party.to_xgboost(run.model)
    ours_by_node, whole_by_node = ours.trees_to_dataframe(), whole.trees_to_dataframe()
    assert list(ours_by_node["Feature"]) == list(whole_by_node["Feature"])
    for feature, ours_at, whole_at in zip(ours_by_node["Feature"], ours_by_node["Split"], whole_by_node["Split"]):
        if feature != "Leaf":
            # XGBoost cuts at values that there are, and so does not distinguish bins without rows.
            np.testing.assert_array_equal(x[:, int(feature[1:])] < ours_at, x[:, int(feature[1:])] < whole_at)
    # Leaves' "Gain" is their value; the rest follows from sums of the parties' rounded sums.
    np.testing.assert_allclose(ours_by_node["Gain"], whole_by_node["Gain"], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(ours_by_node["Cover"], whole_by_node["Cover"], rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(ours.predict(xgboost.DMatrix(x)), whole.predict(xgboost.DMatrix(x)), atol=2e-5)
    assert len(ours_by_node) > 6 * party.n_estimators and len(y) > 400


def test_the_file_predicts_what_the_party_does(tmp_path):
    for party in (Trees, Bill, Digits):
        run = simulated(party, tmp_path)
        x = next(iter(party.seen.values()))[0] + np.float32(0.01)
        arrays = [run.model.tensors()[f"tensor{number}"].astype(np.float32) for number in range(len(party("x").shapes))]
        path = tmp_path / "trees.json"
        party.to_xgboost(run.model).save_model(path)
        booster = xgboost.Booster(model_file=path)
        np.testing.assert_allclose(booster.predict(xgboost.DMatrix(x)), party("x").predict(arrays, x), atol=1e-6)
        assert booster.num_boosted_rounds() == party.n_estimators and booster.num_features() == party.features
        json.dumps(party.to_json(arrays))
        prepared = run.model.prepared(pd.read_csv(JOBS[party]["data"]["table"]))
        # All rows, those kept for evaluation too, of which each party's are some.
        assert {row.tobytes() for row in party.seen["party-1"][0]} <= {row.tobytes() for row in prepared}
        assert len(model_names := run.model.inputs) == party.features == len(set(model_names))


def held_out(booster, job, folder):
    """A booster's metrics on the rows that the job keeps for evaluation. The seed makes the keyed slots of categories, and so the order of inputs, the same."""

    class Finished(lepton_ai.Party):
        shapes = [(1,)]

        def fit(self, parameters, x, y, config):
            return parameters

        def predict(self, parameters, x):
            return booster.predict(xgboost.DMatrix(x))

    return lepton_ai.run(job, party=Finished, runs=folder, quiet=True, insecure_seed=5, set={"training.rounds": 1}).metrics


def test_metrics_are_near_those_of_pooled_xgboost(tmp_path):
    for party, metric, within in ((Trees, "auc", 0.01), (Bill, "r2", 0.01), (Digits, "accuracy", 0.03)):
        run = simulated(party, tmp_path)
        _, _, whole = pooled(party, bins_only=False)
        there = held_out(whole, JOBS[party], tmp_path)
        assert abs(run.metrics[metric] - there[metric]) < within, (party, run.metrics, there)
        same = held_out(party.to_xgboost(run.model), JOBS[party], tmp_path)
        assert same[metric] == pytest.approx(run.metrics[metric], abs=1e-3) and same["rows"] == run.metrics["rows"]


def test_an_interrupted_run_goes_on_to_the_same_trees(tmp_path):
    path = tmp_path / "job.toml"
    model = {"kind": "custom", "shapes": [list(shape) for shape in Trees("x").shapes]}
    path.write_text(job_text({**JOBS[Trees], "model": model, "training": {"rounds": Trees.rounds() + 2}, "evaluation": {"every": 7}}), encoding="utf-8")
    words = {"party": Trees, "quiet": True, "set": {"job.insecure_seed": 4}}
    whole = lepton_ai.run(path, runs=tmp_path, **words)

    def stop(event):
        if event.get("event") == "evaluated":
            raise InterruptedError

    with pytest.raises(InterruptedError):
        lepton_ai.run(path, run_dir=tmp_path / "cut", on_event=stop, **{**words, "quiet": False})
    again = lepton_ai.run(resume=tmp_path / "cut", party=Trees, quiet=True)
    # The interrupted round is left out, and the next one does its work.
    assert again.report["rounds"] == Trees.rounds() + 1
    assert Trees.to_json(again.model) == Trees.to_json(whole.model)


@pytest.mark.parametrize("reg_lambda", [0.0, 1.0])
@pytest.mark.parametrize("party", [Trees, Bill, Digits])
def test_every_node_has_a_row_without_a_least_weight(party, reg_lambda, tmp_path):
    free = type("Free", (party,), {"min_child_weight": 0.0, "gamma": 0.0, "reg_lambda": reg_lambda, "max_depth": 4, "max_bin": 64, "n_estimators": 4})
    JOBS[free] = JOBS[party]
    run = simulated(free, tmp_path)
    x = np.concatenate([rows for rows, _ in free.seen.values()])
    party = free("pooled")
    arrays = [run.model.tensors()[f"tensor{number}"] for number in range(len(party.shapes))]
    forest, rows = lepton_ai.xgboost._State(party, arrays).forest, _trees.binned(x, party._edges)
    for splits in forest.splits.reshape(-1, forest.splits.shape[2]):
        for level in range(party.max_depth):
            below, there = _trees.nodes_at(rows, splits, level + 1, party.max_bin)
            for node in np.flatnonzero(splits[2**level - 1 : 2 ** (level + 1) - 1]) + 2**level - 1:
                assert {2 * node + 1, 2 * node + 2} <= set(below[there]), node


def rows_of_three(seed=3):
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(600, 2)).astype(np.float32)
    y = (x[:, 0] * x[:, 1] > 0).astype(np.int64)
    return {name: (x[part], y[part]) for name, part in {"a": slice(0, 100), "b": slice(100, 350), "c": slice(350, 600)}.items()}


class Small(lepton_ai.xgboost.XGBoostParty):
    features, n_estimators, max_depth, max_bin = 2, 4, 3, 16


def one_round(arrays, parties, kind=Small):
    """What the engine makes of the parties' fits."""
    parties = {name if isinstance(name, kind) else kind(name): rows for name, rows in parties.items()}
    return mean_of(arrays, [party.fit(arrays, *rows, {}) for party, rows in parties.items()], [len(rows[0]) for rows in parties.values()])


def mean_of(arrays, given, weights):
    """The mean of changes, weighted by rows, each in steps of 2^-16 (rule FT-12)."""
    steps = [sum(np.rint((part - old) * weight * 65536) for part, weight in zip(parts, weights)) for old, parts in zip(arrays, zip(*given))]
    return [(old + of_all / 65536 / sum(weights)).astype(np.float32) for old, of_all in zip(arrays, steps)]


def test_lost_parties_and_more_rounds_than_there_are_do_no_harm():
    parties = rows_of_three()
    arrays = [np.zeros(shape, dtype=np.float32) for shape in Small("a").shapes]
    for number in range(Small.rounds()):
        there = {name: rows for name, rows in parties.items() if not (number == 4 and name == "b")}
        arrays = one_round(arrays, there)
    x, y = (np.concatenate(parts) for parts in zip(*parties.values()))
    shares = Small("a").predict(arrays, x)
    assert ((shares > 0.5) == y).mean() > 0.95
    for left, right in zip(one_round(arrays, parties), arrays):
        np.testing.assert_array_equal(left, right)
    np.testing.assert_allclose(Small.to_xgboost(arrays).predict(xgboost.DMatrix(x)), shares, atol=1e-6)


def test_parties_of_unequal_size_count_by_their_rows():
    parties = rows_of_three()
    arrays = [np.zeros(shape, dtype=np.float32) for shape in Small("a").shapes]
    # The same party objects all along, as the engine keeps them: what they remember changes nothing.
    kept = {name: Small(name) for name in parties}
    for _ in range(Small.rounds()):
        given = [kept[name].fit(arrays, *rows, {}) for name, rows in parties.items()]
        arrays = mean_of(arrays, given, [100, 250, 250])
        for fresh, kept_one in zip(Small("b").fit(arrays, *parties["b"], {}), kept["b"].fit(arrays, *parties["b"], {})):
            np.testing.assert_array_equal(fresh, kept_one)
    x, y = (np.concatenate(parts) for parts in zip(*parties.values()))
    lower = lower_ends(Small, x)
    settings = {"objective": "binary:logistic", "tree_method": "hist", "eta": 0.3, "max_depth": 3, "base_score": 0.5}
    whole = xgboost.train(settings, xgboost.DMatrix(lower, y), 4)
    np.testing.assert_allclose(Small("a").predict(arrays, x), whole.predict(xgboost.DMatrix(lower)), atol=1e-5)


class Heavy(Small):
    """Settings that bite by the number of rows."""

    n_estimators, max_depth, reg_lambda, gamma, min_child_weight = 5, 2, 20.0, 0.7, 20.0


@pytest.mark.parametrize("missed", [0, 1, 4])
def test_rows_are_counted_in_every_round(missed):
    x, _ = (np.concatenate(parts) for parts in zip(*rows_of_three().values()))
    y = (x[:, 0] + x[:, 1] > 0).astype(np.int64)
    parties = {name: (x[part], y[part]) for name, part in {"a": slice(0, 50), "b": slice(50, 100), "c": slice(100, 600)}.items()}
    arrays = [np.zeros(shape, dtype=np.float32) for shape in Heavy("a").shapes]
    for number in range(Heavy.rounds()):
        # The largest party misses one round.
        arrays = one_round(arrays, {name: rows for name, rows in parties.items() if number != missed or name != "c"}, Heavy)
    party = Heavy("a")
    state = lepton_ai.xgboost._State(party, arrays)
    assert state.rows == 600 and state.parties == 3
    roots = state.forest.covers[:, 0, 0]
    assert [cover < 26 for cover in roots] == [2 * tree == missed for tree in range(5)], roots
    # The trees after that one are XGBoost's from the margins that it and those before leave.
    done, rows = missed // 2 + 1, _trees.binned(x, party._edges)
    settings = {
        "objective": "binary:logistic", "tree_method": "hist", "eta": 0.3, "max_depth": 2, "base_score": 0.5, "lambda": 20.0, "gamma": 0.7, "min_child_weight": 20.0
    }
    start = state.forest.margins(rows, range(done), 0.0, party.max_bin)[:, 0]
    table = xgboost.DMatrix(lower_ends(Heavy, x), y, base_margin=start)
    whole = xgboost.train(settings, table, 5 - done)
    assert len(whole.trees_to_dataframe()) > 4 * (5 - done)
    np.testing.assert_allclose(state.forest.margins(rows, range(5), 0.0, party.max_bin)[:, 0], whole.predict(table, output_margin=True), atol=2e-5)


def test_a_round_walks_two_trees_at_most(monkeypatch):
    walked, of_trees = [], _trees.Forest.margins

    def margins(forest, rows, trees, *more):
        walked[-1] += len(trees)
        return of_trees(forest, rows, trees, *more)

    monkeypatch.setattr(_trees.Forest, "margins", margins)
    for kind, most in ((type("Many", (Small,), {"n_estimators": 6}), 1), (type("Stumps", (Small,), {"n_estimators": 6, "max_depth": 1}), 2)):
        parties = {kind(name): rows for name, rows in rows_of_three().items()}
        arrays = [np.zeros(shape, dtype=np.float32) for shape in kind("a").shapes]
        for _ in range(kind.rounds()):
            walked.append(0)
            arrays = one_round(arrays, parties, kind)
        assert max(walked) == 3 * most, walked
        walked.clear()


def test_arrays_before_the_first_round_and_within_a_tree_predict():
    arrays = [np.zeros(shape, dtype=np.float32) for shape in Small("a").shapes]
    x = np.zeros((2, 2), dtype=np.float32)
    assert (Small("a").predict(arrays, x) == 0.5).all()
    parties = rows_of_three()
    losses = []
    for _ in range(5):
        arrays = one_round(arrays, parties)
        shares, y = Small("a").predict(arrays, parties["c"][0]), parties["c"][1]
        losses.append(-np.log(np.where(y == 1, shares, 1 - shares)).mean())
    assert losses[2] < losses[0] and losses[4] < losses[2]
    assert len(Small.to_json(arrays)["learner"]["gradient_booster"]["model"]["trees"]) == 2


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"privacy.epsilon": 8, "privacy.delta": 1e-5, "privacy.clip": 1.0, "privacy.learning_rate": 0.3, "training.sampling_rate": 0.5}, "a gradient for each record"),
        ({"privacy.unit": "party", "privacy.epsilon": 500, "privacy.delta": 1e-3}, "no privacy goal"),
        ({"training.combine": "median", "training.groups": 3, "data.split.parties": 12}, 'combine = "mean"'),
        ({"training.server_learning_rate": 0.5}, "server_learning_rate = 1"),
        ({"training.server_learning_rate": 2.0}, "server_learning_rate = 1"),
        ({"training.server_learning_rate": 3.0}, "server_learning_rate = 1"),
        ({"training.server_optimiser": "fedadam"}, 'server_optimiser = "fedavg"'),
        ({"training.clip_update": 1.0}, "no clip_update"),
    ],
)
def test_jobs_whose_sums_are_no_exact_means_are_refused(tmp_path, more, words, capfd):
    with pytest.raises(lepton_ai.LeptonError) as caught:
        bounds = {f"prepare.bounds.{name}": [0, 3000] for name in MEASURES} if "privacy.epsilon" in more else {}
        # As if the class had not said that it needs exact sums.
        simulated(type("Trees", (Trees,), {"exact_sums": False}), tmp_path, {**bounds, **more})
    told = str(caught.value) + capfd.readouterr().err + "".join(path.read_text() for path in tmp_path.rglob("events.jsonl"))
    assert words in told, told


def test_a_privacy_goal_is_refused_before_the_start(tmp_path):
    goal = {"unit": "party", "epsilon": 500, "delta": 1e-3}
    plain = {**JOBS[Trees], "prepare": {"bounds": {name: [0, 3000] for name in MEASURES}}}
    job = {**plain, "model": {"kind": "custom", "shapes": [list(shape) for shape in Trees("x").shapes]}, "privacy": goal}
    (tmp_path / "job.toml").write_text(job_text(job))
    overrides = {f"privacy.{key}": value for key, value in goal.items()}
    for given, more in ((plain, overrides), (job, {}), (job_text(job), {}), (tmp_path / "job.toml", {})):
        with pytest.raises(lepton_ai.UsageError, match="needs exact sums, and the job has a privacy goal"):
            lepton_ai.run(given, party=Trees, runs=tmp_path / "runs", set=more, quiet=True)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"objective": "rank:pairwise"}, "is none of"),
        ({"objective": "multi:softprob"}, "num_class"),
        ({"features": 0}, "need features"),
        ({"max_bin": 1}, "two bins"),
        ({"low": 3.0}, "low must be below high"),
        ({"features": 2**19}, "features times bins"),
        ({"base_score": 1.0}, "base_score"),
        ({"gamma": -1.0}, "negative"),
        ({"reg_lambda": float("nan")}, "reg_lambda = nan must be a finite number"),
        ({"learning_rate": float("inf")}, "learning_rate = inf must be a finite number"),
        ({"min_child_weight": "1"}, "min_child_weight = '1' must be a finite number"),
        ({"base_score": float("nan")}, "base_score = nan must be a finite number"),
        ({"base_score": "half"}, "base_score = 'half' must be a finite number"),
        ({"max_depth": 2.5}, "max_depth = 2.5 must be a whole number"),
        ({"max_bin": None}, "max_bin = None must be a whole number"),
        ({"n_estimators": True}, "n_estimators = True must be a whole number"),
        ({"low": [0.0, 0.0, 0.0]}, "low must be a finite number, or one for each of the 2 features"),
        ({"high": [[1.0], [2.0, 3.0]]}, "high must be a finite number"),
        ({"high": [1.0, float("nan")]}, "high must be a finite number"),
        ({"high": 1e39}, "high must be a finite number"),
    ],
)
def test_settings_that_make_no_trees_are_refused(settings, words):
    with pytest.raises(lepton_ai.UsageError, match=words):
        type("Odd", (Small,), settings)("a")


def test_rows_that_do_not_fit_are_refused():
    arrays = [np.zeros(shape, dtype=np.float32) for shape in Small("a").shapes]
    x, y = rows_of_three()["a"]
    with pytest.raises(lepton_ai.UsageError, match="3 inputs"):
        Small("a").fit(arrays, np.ones((4, 3), dtype=np.float32), y[:4], {})
    with pytest.raises(lepton_ai.UsageError, match="class 2"):
        Small("a").fit(arrays, x, y + 1, {})
    with pytest.raises(lepton_ai.UsageError, match="is a number"):
        Small("a").fit(arrays, x, y.astype(np.float32), {})
    with pytest.raises(lepton_ai.UsageError, match="too large"):
        type("Far", (Small,), {"objective": "reg:squarederror"})("a").fit(arrays, x, np.full(len(x), 90, dtype=np.float32), {})
    spoilt = one_round(arrays, {"a": (x, y)})
    spoilt[0] = spoilt[0] + 0.01
    with pytest.raises(lepton_ai.UsageError, match="number of rounds"):
        Small("a").predict(spoilt, x)
    with pytest.raises(lepton_ai.UsageError, match="other shapes"):
        Small.to_xgboost(arrays[:2])


def test_without_xgboost_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "xgboost", None)
    with pytest.raises(lepton_ai.UsageError, match="pip install xgboost-cpu"):
        Small.to_xgboost([np.zeros(shape) for shape in Small("a").shapes])


OWN = """
import lepton_ai.xgboost

class Shop(lepton_ai.xgboost.XGBoostParty):
    features, n_estimators, max_depth, max_bin, learning_rate = 2, 4, 3, 32, 0.5
"""

def test_the_same_party_joins_a_real_federation(tmp_path):
    page = Page(tmp_path, pathlib.Path(sys.executable).with_name("lepton"))
    words = {}
    exec(OWN, words)

    def with_trees(mark, body):
        for folder in tmp_path.glob("shop-?"):
            (folder / "shop.py").write_text(OWN)
        if mark == "file: shop-1/policy.toml":
            return body.replace("[privacy]\n", "[privacy]\nrequired = false\n")
        return body.replace("lepton party run party.toml", "lepton party run party.toml --python shop:Shop")

    try:
        shops.set_up(page, with_trees)
        model = {"kind": "custom", "shapes": [list(shape) for shape in words["Shop"]("a").shapes]}
        job = shops.job("trees-churn", model=model, training={"rounds": 12})
        (tmp_path / "trees.toml").write_text(job_text(job))
        page.run("lepton run trees.toml --federation federation.toml --runs runs --json > report.json", 0)
    finally:
        page.end()
    run = lepton_ai.Run.open(next((tmp_path / "runs").glob("*/report.json")).parent)
    assert run.report["rounds"] == 12 and run.metrics["auc"] > 0.78
    assert words["Shop"].to_xgboost(run.model).num_boosted_rounds() == 4
