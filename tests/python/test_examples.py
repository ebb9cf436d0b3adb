"""The examples of examples/python as a user runs them, and their notebooks."""

import importlib
import json
import os
import pathlib
import re
import subprocess
import sys

import matplotlib.image
import numpy as np
import pytest

lepton_ai = pytest.importorskip("lepton_ai") if os.environ.get("CI") != "true" else importlib.import_module("lepton_ai")

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / "examples" / "python"
NOTEBOOKS = ROOT / "scripts" / "notebooks.py"
STATEMENT = "Each record is protected with epsilon"


def figure_after(text, words):
    """The first number after ``words``."""
    found = re.search(re.escape(words) + r"[^\d\n]*(\d+(?:\.\d+)?)", text)
    assert found, f"{words!r} is not in:\n{text}"
    return float(found[1])


# Coarse floors. The noise is fresh in every run. Over fourteen runs of three scripts and six of birth_outcome the figures lay more than seven of their standard
# deviations inside these bounds; for figures near normal, a false alarm in fewer than 1e-6 of the runs.
def credit_risk_is_useful(said):
    assert figure_after(said, "exact (simulation):") > figure_after(said, "always saying 'good':") + 0.01


def birth_outcome_is_measured(said):
    # Weak by nature: above a coin over five splits without a goal, and no miracle under one.
    assert 0.5 < figure_after(said, "all clinics, no goal") < 0.75
    assert 0.3 < figure_after(said, "all clinics, epsilon 3") < 0.75


def customer_churn_is_useful(said):
    assert figure_after(said, "exact (simulation):") > figure_after(said, "always 'stays':") + 0.02


def monthly_bill_is_useful(said):
    assert figure_after(said, "mean error of") < figure_after(said, "always saying the mean:") / 3


CHECKS = {
    "birth_outcome": birth_outcome_is_measured,
    "credit_risk": credit_risk_is_useful,
    "customer_churn": customer_churn_is_useful,
    "monthly_bill": monthly_bill_is_useful,
}


def run_program(path, cwd):
    environment = {**os.environ, "MPLBACKEND": "Agg", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, str(path)], cwd=cwd, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def assert_picture(path):
    assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    pixels = matplotlib.image.imread(path)
    assert 400 <= pixels.shape[0] <= 2000 and 600 <= pixels.shape[1] <= 3000
    assert len(np.unique(pixels.reshape(-1, pixels.shape[2]), axis=0)) > 20


def code_of(name):
    cells = json.loads((FOLDER / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")


def test_every_script_is_tried():
    assert {path.stem for path in FOLDER.glob("*.py")} == set(CHECKS)


@pytest.mark.parametrize("name", CHECKS)
def test_a_script_runs(name, tmp_path):
    said = run_program(FOLDER / f"{name}.py", tmp_path)
    assert STATEMENT in said and 3 <= len(said.splitlines()) <= 6
    assert "insecure" not in said
    CHECKS[name](said)
    assert_picture(tmp_path / f"{name}.png")
    assert {path.name for path in tmp_path.iterdir()} == {f"{name}.png", "runs"}


def test_the_notebooks_are_the_scripts():
    subprocess.run([sys.executable, str(NOTEBOOKS), "--check"], check=True, timeout=60)


@pytest.mark.parametrize("name", CHECKS)
def test_a_notebook_holds_the_code_and_no_outputs(name):
    raw = json.loads((FOLDER / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8"))
    assert raw["nbformat"] == 4 and len({cell["id"] for cell in raw["cells"]}) == len(raw["cells"])
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in raw["cells"] if cell["cell_type"] == "code")
    script = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
    statements = [line for line in script.splitlines() if line.strip() and not line.startswith("#")]
    compile(code_of(name), name, "exec")
    assert [line for line in code_of(name).splitlines() if line.strip() and not line.startswith("#")] == statements


def test_a_notebook_finds_the_data_without_a_file_name(tmp_path):
    # As a notebook runs: in its own folder, with no __file__. Its first cells are enough to find and read the table.
    head = code_of("customer_churn").partition("goal = ")[0]
    program = f"exec(compile({head!r}, 'cells', 'exec'), {{}}); print('read')"
    done = subprocess.run([sys.executable, "-c", program], cwd=FOLDER / "notebooks", env={**os.environ, "MPLBACKEND": "Agg"}, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "read\n", done.stderr


def test_a_changed_notebook_is_noticed(tmp_path):
    copied = tmp_path / "examples" / "python"
    (tmp_path / "scripts").mkdir()
    copied.mkdir(parents=True)
    (tmp_path / "scripts" / "notebooks.py").write_bytes(NOTEBOOKS.read_bytes())
    (copied / "one.py").write_text("# %% [markdown]\n# # Title\n#\n# Text.\n\n# %%\nprint(1)\n")

    def made(*words):
        return subprocess.run([sys.executable, str(tmp_path / "scripts" / "notebooks.py"), *words], capture_output=True, text=True, timeout=60, check=False).returncode

    assert made("--check") == 1
    assert (made(), made("--check")) == (0, 0)
    text, code = json.loads((copied / "notebooks" / "one.ipynb").read_text())["cells"]
    assert "".join(text["source"]) == "# Title\n\nText." and "".join(code["source"]) == "print(1)"
    (copied / "notebooks" / "one.ipynb").write_text("{}")
    assert made("--check") == 1
    (copied / "one.py").write_text("print(1)\n# %%\n")
    assert made() == 1 and made("--wrong") == 2
