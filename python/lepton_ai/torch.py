"""PyTorch networks as parties: ``lepton_ai.torch.TorchParty``. PyTorch itself is not installed with this package."""

import numpy as np
import torch

from lepton_ai.errors import UsageError
from lepton_ai.party import Party


class TorchParty(Party):
    """A network at each party: subclass it and define :meth:`build`.

    Its parameters are the model, in the order of ``module.parameters()``; frozen ones are refused, and so are floating-point buffers and batch normalisation. The optimiser, its step length, the batches and the epochs or steps of
    a round are those of the job's ``[training]``. Works without a privacy goal and with all three units; records and persons are asked about one at a time,
    by automatic differentiation of the loss at that record.

    ``outputs``: ``"classes"`` (scores of all classes, or one score for two classes; cross-entropy) or ``"value"`` (one number; half the squared error).

        class Net(lepton_ai.torch.TorchParty):
            def build(self):
                return torch.nn.Sequential(torch.nn.Linear(30, 16), torch.nn.ReLU(), torch.nn.Linear(16, 1))
    """

    outputs = "classes"

    def __init__(self, name):
        super().__init__(name)
        self.module = self.build()
        frozen = [name for name, parameter in self.module.named_parameters() if not parameter.requires_grad]
        if frozen:
            # They are drawn at random at every party and are no part of the model: parties would add up gradients of different functions.
            raise UsageError(f"the network has frozen parameters ({', '.join(frozen[:3])}), which would differ from party to party; make them constants of forward()")
        if any(isinstance(part, torch.nn.modules.batchnorm._BatchNorm) for part in self.module.modules()):
            # With and without running statistics it mixes the records of a batch.
            raise UsageError("batch normalisation mixes records; use group or layer normalisation instead")
        buffers = [name for name, buffer in self.module.named_buffers() if buffer.is_floating_point()]
        if buffers:
            # It is not summed under the masks.
            raise UsageError(f"the network has state beside its parameters ({', '.join(buffers[:3])}), which would differ from party to party; use modules without buffers")

    def build(self) -> "torch.nn.Module":
        """A new network."""
        raise NotImplementedError("a TorchParty needs build()")

    @property
    def shapes(self):
        return [tuple(parameter.shape) for parameter in self._trained()]

    def fit(self, parameters, x, y, config):
        self._load(parameters)
        self.module.train()
        optimiser = self._optimiser(config)
        generator = torch.Generator().manual_seed(int.from_bytes(np.random.default_rng().bytes(7), "little"))
        x, y = torch.from_numpy(np.ascontiguousarray(x)), torch.from_numpy(np.ascontiguousarray(y))
        for rows in self._batches(len(x), config, generator):
            optimiser.zero_grad()
            self._loss(self.module(x[rows]), y[rows]).backward()
            optimiser.step()
        return [parameter.detach().numpy() for parameter in self._trained()]

    def predict(self, parameters, x):
        self._load(parameters)
        self.module.eval()
        with torch.no_grad():
            scores = self.module(torch.from_numpy(np.ascontiguousarray(x))).double()
        if self.outputs == "value":
            return scores.reshape(len(x)).numpy()
        if scores.ndim == 1 or scores.shape[1] == 1:
            return torch.sigmoid(scores).reshape(len(x)).numpy()
        return torch.softmax(scores, dim=1).numpy()

    def gradient(self, parameters, x, y):
        self._load(parameters)
        # Nothing random, and nothing that other records could have left behind.
        self.module.eval()
        self.module.zero_grad()
        self._loss(self.module(torch.from_numpy(np.ascontiguousarray(x))), torch.from_numpy(np.ascontiguousarray(y))).backward()
        return [np.zeros(tuple(one.shape)) if one.grad is None else one.grad.numpy() for one in self._trained()]

    def _trained(self):
        return [parameter for parameter in self.module.parameters() if parameter.requires_grad]

    def _load(self, parameters):
        with torch.no_grad():
            for own, given in zip(self._trained(), parameters):
                own.copy_(torch.from_numpy(np.array(given, dtype=np.float32)))

    def _loss(self, scores, y):
        if self.outputs == "value":
            return 0.5 * torch.nn.functional.mse_loss(scores.reshape(len(y)), y.float())
        if scores.ndim == 1 or scores.shape[1] == 1:
            return torch.nn.functional.binary_cross_entropy_with_logits(scores.reshape(len(y)), y.float())
        return torch.nn.functional.cross_entropy(scores, y.long())

    def _optimiser(self, config):
        if config["optimiser"] == "adam":
            return torch.optim.Adam(self._trained(), lr=config["learning_rate"])
        return torch.optim.SGD(self._trained(), lr=config["learning_rate"], momentum=config.get("momentum", 0.0))

    @staticmethod
    def _batches(rows, config, generator):
        size, left = config["batch"], config.get("local_steps")
        passes = config.get("local_epochs", left)
        for _ in range(passes):
            order = torch.randperm(rows, generator=generator)
            for start in range(0, rows, size):
                if left is not None and left <= 0:
                    return
                left = None if left is None else left - 1
                yield order[start : start + size]
