"""Your own model at a party: subclass :class:`Party`, and everything around it is Lepton's.

Preparation, masked sums, clipping, noise, accounting, policy and ledger are those of every job (docs/protocols/custom-models.md). A party's program only
trains and predicts:

>>> import numpy as np
>>> class LeastSquares(Party):
...     shapes = [(2,), ()]
...     def fit(self, parameters, x, y, config):
...         weights, intercept = parameters
...         for _ in range(10):
...             error = x @ weights + intercept - y
...             weights = weights - 0.1 * x.T @ error / len(y)
...             intercept = intercept - 0.1 * error.mean()
...         return [weights, intercept]
...     def predict(self, parameters, x):
...         weights, intercept = parameters
...         return x @ weights + intercept
>>> fitted = LeastSquares("here").fit([np.zeros(2), np.zeros(())], np.eye(2), np.ones(2), {})
>>> len(fitted)
2
"""

import importlib
import os
import pathlib
import re
import sys

import numpy as np

from lepton_ai.errors import UsageError


class Party:
    """One party's trainer. ``Party(name)`` is called once for each party and job, in the process that holds the party's rows.

    ``shapes``: the shapes of the model's arrays, in order; the same at every party. Fresh ones are drawn by the coordinator (rule CM-08: Glorot for two and
    more axes, zeros else).

    Rows come prepared as the job says: ``x`` of shape (rows, inputs), float32; ``y`` class numbers (int64, in the order of ``data.classes``) or values of the
    standardised label (float32). Parameters are float32 arrays of ``shapes``. Calls come one at a time, from threads of the engine's.

    Under a privacy goal an exception or a number that is not finite is kept inside the party: it counts as no change (rule CM-04), and the party's log has the
    traceback. In a simulation it ends the run.
    """

    shapes: list = []
    # Whether noise would spoil the model: a job with a privacy goal is refused then, before anything is charged (rule CM-11).
    exact_sums = False

    def __init__(self, name: str):
        self.name = name

    def fit(self, parameters, x, y, config):
        """Trains from ``parameters`` on ``x`` and ``y`` and returns the new ones, a list of arrays of ``shapes``.

        ``config``: ``round`` (from 1), ``local_epochs`` or ``local_steps``, ``batch``, ``learning_rate``, ``optimiser`` and for ``"sgd"`` ``momentum``, as the job's
        ``[training]`` says; which of them to heed is up to you. Called without a privacy goal and with ``privacy.unit = "party"``, where the whole change is cut
        and noised. A triple ``(parameters, number of rows, metrics)`` is taken too; of it only the parameters are used: weights are the rows that Lepton counts
        itself, and metrics are made of :meth:`predict`, since numbers that nobody can bound may not leave a party.
        """
        raise NotImplementedError("a Party needs fit(parameters, x, y, config)")

    def predict(self, parameters, x):
        """One value for each row of ``x``, or an array (rows, classes) of shares that add up to 1. For two classes the shares of the second alone will do."""
        raise NotImplementedError("a Party needs predict(parameters, x)")

    # To protect single records or persons (privacy.unit = "record", "person") define as well:
    #
    #     def gradient(self, parameters, x, y):
    #         """The gradient of the loss at the one row of x, a list of arrays of shapes."""
    #
    # It must depend on nothing but its arguments (rule CM-05). Lepton samples the rows, cuts each gradient to privacy.clip, sums and adds the noise.


class _Adapter:
    """A party behind flat arrays, for the engine."""

    def __init__(self, party: Party, shapes):
        self._party = party
        self._shapes = shapes
        self._sizes = [int(np.prod(shape)) for shape in shapes]
        self.has_gradient = callable(getattr(party, "gradient", None))
        self.exact_sums = bool(getattr(party, "exact_sums", False))

    def fit(self, flat, x, y, config):
        given = self._party.fit(self._arrays(flat), x, y, config)
        if isinstance(given, tuple) and len(given) == 3 and isinstance(given[0], (list, tuple)):
            given = given[0]
        return self._flat(given, "fit")

    def gradient(self, flat, x, y):
        return self._flat(self._party.gradient(self._arrays(flat), x, y), "gradient")

    def predict(self, flat, x):
        given = _numbers(self._party.predict(self._arrays(flat), x), "predict")
        if len(given) != len(x) or given.ndim > 2:
            raise ValueError(f"predict gave an array of shape {given.shape} for {len(x)} rows")
        if given.ndim == 2 and given.shape[1] == 1:
            given = given[:, 0]
        return np.ascontiguousarray(given)

    def _arrays(self, flat):
        if len(flat) != sum(self._sizes):
            raise ValueError(f"the job's model has {len(flat)} numbers, and the party's shapes have {sum(self._sizes)}")
        parts = np.split(flat.astype(np.float32), np.cumsum(self._sizes)[:-1])
        return [part.reshape(shape) for part, shape in zip(parts, self._shapes)]

    def _flat(self, given, what):
        if not isinstance(given, (list, tuple)):
            raise TypeError(f"{what} must return a list of arrays, and gave a {type(given).__name__}")
        shapes = [np.shape(array) for array in given]
        if shapes != [tuple(shape) for shape in self._shapes]:
            raise ValueError(f"{what} gave arrays of shapes {shapes}, and the model has {self._shapes}")
        return np.concatenate([_numbers(array, what).reshape(-1) for array in given])


def _numbers(value, what) -> np.ndarray:
    for step in ("detach", "cpu"):
        # A tensor that hangs in a graph, or lives on another device.
        value = getattr(value, step)() if hasattr(value, step) else value
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{what} gave an array of dtype {array.dtype}; real numbers are needed")
    return array.astype(np.float64)


def shapes_of(party) -> list:
    """The shapes of a party's class or factory, as lists of whole numbers."""
    shapes = getattr(party, "shapes", None)
    if not isinstance(shapes, (list, tuple)) and callable(party):
        shapes = getattr(party("shapes"), "shapes", None)
    if not isinstance(shapes, (list, tuple)) or not shapes:
        raise UsageError("a party needs shapes: a list with the shape of each array of its model, for example [(16, 30), (16,)]")
    return [[int(side) for side in (shape if isinstance(shape, (list, tuple)) else [shape])] for shape in shapes]


def custom_model(party, job) -> dict:
    """What a job's ``[model]`` is with this party, as overrides. A job that names another kind of model is not overridden."""
    _factory(party)
    model = job.get("model", {}) if isinstance(job, dict) else {}
    if model.get("kind", "custom") != "custom":
        raise UsageError(f"the job's model.kind is {model['kind']!r}; with a party it is \"custom\": leave [model] out")
    if isinstance(job, dict):
        return {"model.kind": "custom", "model.shapes": model.get("shapes") or shapes_of(party)}
    # A file or a text says itself that its model is custom; the shapes may be the party's.
    return {} if re.search(r"(?m)^\s*shapes\s*=", _text(job)) else {"model.shapes": shapes_of(party)}


def _text(job) -> str:
    return job if isinstance(job, str) and "\n" in job else pathlib.Path(job).read_text(encoding="utf-8")


def _factory(party):
    """What makes the engine's trainers: ``party`` is a subclass of :class:`Party`, or anything that gives one for a name."""
    if not callable(party):
        raise UsageError(f"a party is a subclass of lepton_ai.Party or a function of a party's name, not a {type(party).__name__}")

    def make(name):
        made = party(name)
        for method in ("fit", "predict"):
            if not callable(getattr(made, method, None)):
                raise UsageError(f"{type(made).__name__} has no method {method}")
        return _Adapter(made, [tuple(shape) for shape in shapes_of(made)])

    return make


def _named(what: str):
    """The factory of ``module:object``, looked for in the working folder too."""
    module, colon, name = what.partition(":")
    if not colon or not module or not name:
        raise UsageError(f"--python {what}: write module:object, for example hospital:Party")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    found = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return _factory(found)
