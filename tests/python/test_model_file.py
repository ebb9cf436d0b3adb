"""The model file is read by other tools: numpy makes the same predictions from it as the program does."""

import csv
import json
import pathlib

import numpy as np
import pytest
from safetensors import safe_open

ROOT = pathlib.Path(__file__).resolve().parents[2]
TABLE = ROOT / "data" / "breast_cancer.csv"


@pytest.fixture(scope="module")
def model(run):
    """Tensors and the description in the header."""
    with safe_open(run.model, framework="numpy") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}
        return tensors, json.loads(file.metadata()["lepton"])


@pytest.fixture(scope="module")
def rows():
    with TABLE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))[:100]


def find(document, wanted):
    """The first value below `document` for which `wanted` holds."""
    if wanted(document):
        return document
    inner = document.values() if isinstance(document, dict) else document if isinstance(document, list) else []
    return next((hit for value in inner if (hit := find(value, wanted)) is not None), None)


def features(preparation, rows):
    """What the preparation in the header makes of a table without gaps and categories."""
    columns = []
    for entry in preparation["columns"]:
        column = entry["numeric"]
        values = np.array([float(row[column["name"]]) for row in rows])
        if column["bounds"]:
            values = np.clip(values, *column["bounds"])
        if column["scale"] != "none":
            ((kind, figures),) = column["scale"].items()
            low, width = {
                "standard": lambda f: (f["mean"], f["std"]),
                "minmax": lambda f: (f["lo"], f["hi"] - f["lo"]),
            }[kind](figures)
            values = (values - low) / width
        columns.append(values)
    return np.stack(columns, axis=1)


def positive_probability(tensors, x):
    """Probability of the second class by the one layer of a logistic model."""
    z = x @ tensors["layer0.weight"].astype(np.float64).T + tensors["layer0.bias"]
    if z.shape[1] == 1:
        return 1 / (1 + np.exp(-z[:, 0]))
    return np.exp(z[:, 1]) / np.exp(z).sum(axis=1)


def test_tensors_have_the_documented_shapes(model):
    tensors, _ = model
    assert sorted(tensors) == ["layer0.bias", "layer0.weight"]
    outputs, inputs = tensors["layer0.weight"].shape
    assert tensors["layer0.bias"].shape == (outputs,)
    assert inputs == 30
    assert all(np.isfinite(tensor).all() for tensor in tensors.values())


def test_numpy_predicts_what_the_program_predicts(model, rows, run, lepton, tmp_path):
    tensors, header = model
    preparation = find(header, lambda part: isinstance(part, dict) and {"columns", "target"} <= part.keys())
    assert preparation, "the header holds the preparation"
    classes = find(preparation["target"], lambda part: isinstance(part, list))
    ours = positive_probability(tensors, features(preparation, rows))

    unlabelled = tmp_path / "rows.csv"
    names = [name for name in rows[0] if name != "diagnosis"]
    with unlabelled.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, names, extrasaction="ignore", lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
    printed = lepton("predict", "--model", run.model_dir, unlabelled, cwd=tmp_path)
    theirs = list(csv.DictReader(printed.splitlines()))
    assert len(theirs) == len(rows)

    chosen = [next(value for value in row.values() if value in classes) for row in theirs]
    clear = np.abs(ours - 0.5) > 1e-4
    assert clear.sum() > 90
    assert [c for c, k in zip(chosen, clear) if k] == [classes[int(p > 0.5)] for p, k in zip(ours, clear) if k]
    column = next((name for name in theirs[0] if name.endswith(classes[1])), None)
    assert column, f"a column with the probability of {classes[1]} is wanted in {list(theirs[0])}"
    np.testing.assert_allclose([float(row[column]) for row in theirs], ours, atol=1e-4)


def test_the_model_beats_the_majority(model, rows):
    tensors, header = model
    preparation = find(header, lambda part: isinstance(part, dict) and {"columns", "target"} <= part.keys())
    classes = find(preparation["target"], lambda part: isinstance(part, list))
    hits = (positive_probability(tensors, features(preparation, rows)) > 0.5) == np.array(
        [row["diagnosis"] == classes[1] for row in rows]
    )
    assert hits.mean() > 0.85
