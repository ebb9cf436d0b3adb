"""`Model.prepared` gives what parties' programs get."""

import os

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pytest

if os.environ.get("CI") != "true":
    pytest.importorskip("lepton_ai")
import lepton_ai
from test_guide import ROOT

CHURN = ROOT / "data" / "telecom_churn.csv"


class Looks(lepton_ai.Party):
    shapes = [(1,)]
    seen: list = []

    def fit(self, parameters, x, y, config):
        self.seen.append(x.copy())
        return parameters

    def predict(self, parameters, x):
        self.seen.append(x.copy())
        return np.full(len(x), 0.5)


def looked(table, folder, **more):
    Looks.seen.clear()
    job = {"job": {"name": "look"}, "training": {"rounds": 1}, **more}
    job["data"] = {"table": "table", "split": {"by": "even", "parties": 3}, **more["data"]}
    # A seed: with keys of chance two levels share a slot now and then.
    run = lepton_ai.run(job, data=table, party=Looks, runs=folder, quiet=True, insecure_seed=5)
    return run.model, np.concatenate(Looks.seen)


def rows_of(x):
    return sorted(row.tobytes() for row in x)


CHURNED = {"label": "churn", "classes": ["No", "Yes"]}
RANGES = {"bounds": {"tenure": [2, 60], "monthly_charges": [20, 100], "total_charges": [0, 5000]}}
MARKS = {name: [0, 1] for name in ("female", "senior_citizen", "partner", "dependents", "phone_service", "paperless_billing")}


@pytest.mark.parametrize(
    ("data", "prepare", "inputs"),
    [
        (CHURNED, {"duplicates": "keep"}, 50),
        (CHURNED, {"duplicates": "keep", "missing": "indicator", "scale": "minmax", "bounds": {**RANGES["bounds"], **MARKS}}, 69),
        (CHURNED, {"duplicates": "keep", "missing": "drop", "scale": "none"}, 50),
        (
            {**CHURNED, "features": ["contract", "tenure", "senior_citizen"], "types": {"senior_citizen": "category"}},
            {"duplicates": "keep", "categories": "declared", "values": {"contract": ["Two year", "One year"], "senior_citizen": ["1"]}, **RANGES},
            6,
        ),
    ],
)
def test_rows_are_prepared_as_parties_prepare_them(tmp_path, data, prepare, inputs):
    table = pd.read_csv(CHURN)
    table.loc[::50, "contract"] = None
    table.loc[::70, "tenure"] = np.nan
    model, x = looked(table, tmp_path, data=data, prepare=prepare)
    ours = model.prepared(table)
    kept = ~np.isnan(ours).any(axis=1)
    assert ours.dtype == np.float32 and len(ours) == len(table) and ours.shape[1] == len(model.inputs) == inputs
    assert rows_of(ours[kept]) == rows_of(x)
    assert kept.all() == (prepare.get("missing") != "drop") and (np.isnan(ours[~kept])).all()


def test_labels_go_back_to_their_unit(tmp_path):
    table = pd.read_csv(CHURN)
    model, _ = looked(table, tmp_path, data={"label": "monthly_charges", "types": {"monthly_charges": "number"}, "features": ["tenure", "contract"]})
    assert model.label_values([0.0]) == pytest.approx(table["monthly_charges"].mean(), rel=0.02)
    assert model.inputs[0] == "tenure" and model.inputs[-1] == "contract=(other)" and all(name.startswith("contract=slot-") for name in model.inputs[1:-1])
    for wrong, words in ((table.drop(columns="tenure"), 'no column "tenure"'), (table.assign(tenure="long"), 'table:1, column "tenure": "long" is not a finite number')):
        with pytest.raises(lepton_ai.DataError, match=words):
            model.prepared(wrong)


def test_arrow_tables_are_prepared_as_parties_prepare_them(tmp_path):
    number = np.arange(60)
    table = pa.table({
        "plan": pa.array(["gold", " gold", "NA", None, "\xa0silver", "other"] * 10).dictionary_encode(),
        "member": pa.array([True, False, None] * 20),
        "visits": pa.array([None if row % 7 == 0 else int(row) for row in number], type=pa.int16()),
        "weight": pa.array((number / 7).astype(np.float32)),
        "code": pa.array([2.0**60, 0.1, 3.0] * 20, type=pa.float64()),
        "label": pa.array(["yes", "no"] * 30, type=pa.string_view()),
    })

    class Stream:
        def __arrow_c_stream__(self, requested_schema=None):
            return table.__arrow_c_stream__(requested_schema)

    data = {"label": "label", "classes": ["no", "yes"], "types": {"code": "category", "member": "category", "plan": "category"}, "features": table.column_names[:5]}
    values = {"plan": ["gold", "silver"], "member": ["true", "false"], "code": ["1.152921504606847e18", "0.1"]}
    prepare = {"duplicates": "keep", "missing": "indicator", "categories": "declared", "values": values, "bounds": {"visits": [0, 60], "weight": [0, 9]}}
    model, x = looked(table, tmp_path, data=data, prepare=prepare)
    for form in (table, Stream(), table.to_reader()):
        assert rows_of(model.prepared(form)) == rows_of(x)
    with pytest.raises(lepton_ai.DataError, match='column "weight": .* is not a type Lepton computes with'):
        model.prepared(table.set_column(3, "weight", pa.array([0] * 60, type=pa.time32("s"))))


def test_every_form_of_a_table_gives_the_same_rows(tmp_path, monkeypatch):
    frame = pd.read_csv(CHURN)
    # In a text a number that is missing is an empty cell, in a frame it is NaN.
    model, _ = looked(frame, tmp_path, data={**CHURNED, "features": ["tenure", "total_charges", "contract"]}, prepare={"missing": "indicator"})
    rows = model.prepared(frame)
    assert rows.shape == (7043, len(model.inputs)) and rows[:, model.inputs.index("total_charges=(missing)")].sum() == 11
    frame.to_parquet(tmp_path / "churn.parquet")
    frame.to_json(tmp_path / "churn.jsonl", orient="records", lines=True)
    pyarrow.feather.write_feather(pa.table(frame), tmp_path / "churn.arrow", compression="uncompressed")
    files = [CHURN, str(CHURN), *(tmp_path / f"churn.{ending}" for ending in ("parquet", "jsonl", "arrow"))]
    # Only what is a file already is read from the disk.
    objects = [pa.table(frame), frame.to_dict("list"), lepton_ai.Dataset(frame)]
    with monkeypatch.context() as without:
        without.setattr("tempfile.mkdtemp", None)
        for form in [*files, *objects]:
            assert model.prepared(form).tobytes() == rows.tobytes()
    with pytest.raises(lepton_ai.LeptonError, match="absent.csv"):
        model.prepared(tmp_path / "absent.csv")
    numbers, _ = looked(frame, tmp_path, data={**CHURNED, "features": ["tenure", "monthly_charges"]})
    array = frame[["tenure", "monthly_charges"]].to_numpy()
    assert numbers.prepared(lepton_ai.Dataset(array, columns=["tenure", "monthly_charges"])).tobytes() == numbers.prepared(frame).tobytes()


def test_rows_of_a_vault_are_prepared_with_the_key(tmp_path):
    vault = lepton_ai.Vault.create(tmp_path / "vault", key_file=tmp_path / "root.key")
    vault.seal(CHURN, name="churn")
    model, _ = looked(pd.read_csv(CHURN), tmp_path, data={**CHURNED, "features": ["tenure", "contract"]})
    assert model.prepared(vault / "churn", vault_key=vault.key_file).tobytes() == model.prepared(CHURN).tobytes()


def test_a_missing_value_that_the_job_refuses_is_refused(tmp_path):
    table = pd.read_csv(CHURN)
    model, _ = looked(table, tmp_path, data={**CHURNED, "features": ["tenure", "contract"]}, prepare={"missing": "refuse"})
    table.loc[5, "contract"] = None
    with pytest.raises(lepton_ai.DataError, match='row 6, column "contract": the value is missing'):
        model.prepared(table)


def test_numbers_are_written_as_the_engine_writes_categories(tmp_path):
    codes = {
        1.0: "1", -0.0: "0", 0.5: "0.5", 123456789.125: "123456789.125", 2.0**53: "9007199254740992", 1e16: "1e16", 2.0**60: "1.152921504606847e18", 1e23: "1e23",
        1e-5: "0.00001", 1e-7: "1e-7", -2.5e-9: "-2.5e-9", -100.5: "-100.5",
    }
    # What parties' programs get has each of them as a level of its own.
    table = pd.DataFrame({"code": np.tile(list(codes), 20), "label": np.tile(["yes", "no"], 10 * len(codes))})
    data = {"label": "label", "classes": ["no", "yes"], "types": {"code": "category"}, "features": ["code"]}
    prepare = {"duplicates": "keep", "categories": "declared", "values": {"code": list(codes.values())}}
    model, x = looked(table, tmp_path, data=data, prepare=prepare)
    assert rows_of(model.prepared(table)) == rows_of(x)
    assert (x.sum(axis=0) == [20] * len(codes) + [0] * (x.shape[1] - len(codes))).all()
