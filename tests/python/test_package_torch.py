"""What a PyTorch party refuses to be; only where PyTorch is installed."""

import pytest

import torch
from lepton_ai.errors import UsageError
from lepton_ai.torch import TorchParty


def party(*modules):
    class Net(TorchParty):
        def build(self):
            return torch.nn.Sequential(*modules)

    return Net("a")


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
