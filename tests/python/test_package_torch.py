"""PyTorch parties: the one of docs/own-model.md, and what none may be. Runs where PyTorch is (./test has an environment for it)."""

import pytest

import lepton_ai
import torch
from lepton_ai.errors import UsageError
from lepton_ai.torch import TorchParty
from test_package_party import JOB, RECORD, ROOT


def party(*modules):
    class Net(TorchParty):
        def build(self):
            return torch.nn.Sequential(*modules)

    return Net("a")


def test_the_party_of_the_page_learns_with_and_without_a_goal(tmp_path):
    text = (ROOT / "docs" / "own-model.md").read_text(encoding="utf-8")
    block = next(part.split("```")[0] for part in text.split("```py\n")[1:] if part.startswith("import torch"))
    page = {}
    exec(block.partition("\nrun = ")[0], page)
    words = {"party": page["Net"], "runs": tmp_path, "quiet": True, "insecure_seed": 5}
    plain, private = lepton_ai.run(JOB, **words), lepton_ai.run(JOB, set=RECORD, **words)
    assert plain.metrics["accuracy"] > 0.88
    assert private.metrics["accuracy"] > 0.75 and 0 < private.privacy["epsilon"] <= 8


def test_what_would_differ_between_parties_or_mix_records_is_refused():
    assert party(torch.nn.GroupNorm(1, 3), torch.nn.Linear(3, 1)).shapes == [(3,), (3,), (1, 3), (1,)]
    frozen = torch.nn.Linear(3, 2)
    frozen.weight.requires_grad_(False)
    with pytest.raises(UsageError, match=r"frozen parameters \(0\.weight\)"):
        party(frozen, torch.nn.Linear(2, 1))
    for more in ({}, {"track_running_stats": False}, {"affine": False}):
        with pytest.raises(UsageError, match="batch normalisation"):
            party(torch.nn.BatchNorm1d(3, **more), torch.nn.Linear(3, 1))
    buffered = torch.nn.Linear(3, 1)
    buffered.register_buffer("state", torch.zeros(2))
    with pytest.raises(UsageError, match="state beside its parameters"):
        party(buffered)
