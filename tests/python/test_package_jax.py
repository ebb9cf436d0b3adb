"""The JAX party of docs/own-model.md."""

import jax  # noqa: F401 - the page's block needs it
import numpy as np
import pytest

import lepton_ai
from test_guide import ROOT
from test_package_party import JOB, RECORD


@pytest.fixture(scope="module")
def page():
    """What the page's block defines, without its run."""
    text = (ROOT / "docs" / "own-model.md").read_text(encoding="utf-8")
    block = next(part.split("```")[0] for part in text.split("```py\n")[1:] if part.startswith("import jax"))
    words = {}
    exec(block.partition("\nrun = ")[0], words)
    return words


def test_its_gradients_are_those_of_the_loss(page):
    draw = np.random.default_rng(7)
    parameters = [draw.normal(size=shape).astype(np.float32) for shape in page["Network"].shapes]
    x, y = draw.normal(size=(1, 3)).astype(np.float32), np.array([1])
    for place, slope in enumerate(page["Network"]("a").gradient(parameters, x, y)):
        for entry in np.ndindex(slope.shape):
            ends = []
            for step in (0.01, -0.01):
                moved = [array.copy() for array in parameters]
                moved[place][entry] += step
                ends.append(float(page["loss"](moved, x, y)))
            assert (ends[0] - ends[1]) / 0.02 == pytest.approx(float(slope[entry]), abs=1e-3)


def test_it_learns_with_and_without_a_goal(page, tmp_path):
    words = {"party": page["Network"], "runs": tmp_path, "quiet": True, "insecure_seed": 5}
    plain, private = lepton_ai.run(JOB, **words), lepton_ai.run(JOB, set=RECORD, **words)
    assert plain.metrics["accuracy"] > 0.88
    assert private.metrics["accuracy"] > 0.75 and 0 < private.privacy["epsilon"] <= 8
