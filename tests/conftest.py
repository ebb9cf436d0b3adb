"""One small simulated federation, run once through the built program, for every check of its products."""

import importlib.util
import json
import os
import pathlib
import subprocess
import types

import pytest

# PyTorch has an environment of its own; ./test says so where it is nowhere.
collect_ignore = [] if importlib.util.find_spec("torch") else ["python/test_package_torch.py"]

ROOT = pathlib.Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "examples" / "breast_cancer"


@pytest.fixture(scope="session")
def lepton():
    """Calls the program that LEPTON_BIN names."""
    program = os.environ.get("LEPTON_BIN")
    assert program, "set LEPTON_BIN to the built program; ./test does"

    def call(*arguments, cwd):
        done = subprocess.run(
            [program, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, f"lepton {arguments} exited {done.returncode}:\n{done.stderr}"
        return done.stdout

    return call


@pytest.fixture(scope="session")
def run(lepton, tmp_path_factory):
    """The run folder of the example, its model folder and its report."""
    folder = tmp_path_factory.mktemp("run")
    printed = lepton("run", EXAMPLE / "job.toml", "--json", cwd=folder)
    models = list(folder.rglob("model.safetensors"))
    if not models:  # runs may lie beside the job file
        models = sorted(EXAMPLE.rglob("model.safetensors"), key=lambda path: path.stat().st_mtime)[-1:]
    assert len(models) == 1, f"one model file is wanted, there are {models}"
    pages = list(models[0].parent.rglob("report.html")) or list(models[0].parent.parent.rglob("report.html"))
    assert pages, "the run has no report.html"
    return types.SimpleNamespace(
        model_dir=models[0].parent, model=models[0], page=pages[0], folder=pages[0].parent, report=json.loads(printed)
    )
