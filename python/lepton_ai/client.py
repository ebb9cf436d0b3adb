"""``LeptonClient``: a whole federated training in eight calls, played on this machine by the real engine."""

import io
import json
import tempfile

import numpy as np

from lepton_ai import _arrays, _released, encryption
from lepton_ai._once import warn_once
from lepton_ai.errors import DataError, UsageError
from lepton_ai.running import Run, run
from lepton_ai.tables import Dataset

#: Epsilon and delta of :meth:`LeptonClient.add_differential_privacy_noise` when nothing else is said.
DEFAULT_EPSILON, DEFAULT_DELTA = 3.0, 1e-6
#: Features go through sign(x) log(1 + |x|) where no bounds are given, and are cut here: that is where |x| is about 1.2 million.
_LOG_LIMIT = 14.0
#: More different values than that in y are numbers to predict, not classes.
MOST_CLASSES = 20
#: What is said where a goal is set and nobody said what y is.
CLASSES_FROM_Y = "that y is a class, and which classes there are, which was read off y"


class _ClientRun(Run):
    """A run that knows what its client took from the data without protection."""

    unprotected = ()

    @property
    def statement(self) -> str:
        """The privacy statement in words."""
        return "\n".join([super().statement, *(f"Not protected: {line}." for line in self.unprotected)])


class LeptonClient:
    """Trains a classifier, or a linear regression, among local parties. The calls come in this order: ``preprocess_data``, ``encrypt_data`` (may be left
    out), ``add_differential_privacy_noise`` (may be left out, and then there is no privacy goal), ``federated_learning``, ``get_model_params``,
    ``decrypt_model_params``, ``predict``.

    ``parties``: how many parties the rows are dealt to. ``bounds``: (low, high) of each feature, from public knowledge and not from the data. Without them
    every feature x becomes sign(x)·log(1 + |x|), cut at 14 (|x| about 1.2 million): a rule that does not look at the data.
    ``classes``: the list of classes, from public knowledge; y is a class then, and a value outside of the list is refused.
    ``target_bounds``: (low, high) from public knowledge; y is a number then, and is moved into them. A y that is a number needs them with a privacy goal.

    Without either, y is looked at: whole numbers, texts or truth values of at most 20 kinds are classes, and the kinds that occur are the list. What is found so is **not
    protected** by a privacy goal (somebody who is the only one of a class is given away); a :class:`PrivacyWarning` says so once, and so does the run's statement. Rows
    with missing values are refused, and a refusal is visible.
    """

    def __init__(self, *, parties: int = 3, bounds=None, classes=None, target_bounds=None, rounds: int = 30):
        if classes is not None and target_bounds is not None:
            raise UsageError("give classes where y is a class, or target_bounds where it is a number, not both")
        self._given = None if classes is None else _listed(classes)
        self._parties, self._rounds = parties, rounds
        self._bounds = None if bounds is None else _arrays.numbers(bounds, "bounds", 2)
        self._target_bounds = target_bounds
        self._data = self._sealed = self._goal = self._run = None
        self._key = encryption.generate_key("aes256")[0]

    def preprocess_data(self, X, y) -> "LeptonClient":
        """Takes rows X (n, d) and targets y (n), checks them and applies the public rule of the features. Nothing is measured from X. From y neither where ``classes`` or
        ``target_bounds`` were given; otherwise it is looked at to tell classes from numbers, and the list of classes is read off it."""
        rows = self._features(X)
        target = np.asarray(y)
        if target.dtype.kind == "O":
            if any(value is None or value != value for value in target.ravel()):
                raise DataError("y has missing values; fill them in or leave the rows out")
            if self._target_bounds is None and (self._given is None or self._given.dtype.kind == "U"):
                target = target.astype(str)
        if target.ndim != 1 or len(target) != len(rows):
            raise DataError(f"y must have one value for each of the {len(rows)} rows, and has the shape {target.shape}")
        self._classes = self._given if self._given is not None or self._target_bounds is not None else _classes(target)
        if self._classes is None:
            target = _arrays.numbers(target, "y", 1)
        elif len(self._classes) < 2:
            raise DataError("y has one class only; there is nothing to tell apart")
        else:
            target = coded(self._classes, target).astype(np.float64)
        self._width = rows.shape[1]
        self._data, self._sealed, self._goal, self._run = np.column_stack([rows, target]), None, None, None
        return self

    def encrypt_data(self) -> "LeptonClient":
        """Closes this object's copy of the data under an AES-256 key that it made for itself (JWE, authenticated); its plain copy is let go, though not wiped. While
        the training runs, the rows are open again in memory and in a temporary file of mode 0600. What the caller still holds is as it was."""
        data = self._table("encrypt_data")
        pieces = []
        for part in np.array_split(data, max(1, data.nbytes // (8 << 20))):
            out = io.BytesIO()
            np.save(out, part, allow_pickle=False)
            pieces.append(encryption.encrypt(out.getvalue(), aes_keys=[self._key]))
        self._sealed, self._data = pieces, None
        return self

    def add_differential_privacy_noise(self, epsilon: float = DEFAULT_EPSILON, delta: float = DEFAULT_DELTA) -> "LeptonClient":
        """Sets the goal: what the run releases (the statistics of the preparation, every round's sum, and the metrics; nothing else stays in its report and folder) is
        (epsilon, delta)-differentially private for each record, add or remove, whatever the coordinator and one party (none, where there are two) know together. The noise is
        added inside the masked sums while training, to the clipped sums of gradients: not to the data, which would take far more of it. By default epsilon is 3 and delta 1e-6.

        Each row goes to the party that a hash of it names, so that a row more or less moves no other. Not covered: the list of classes where it was not given, what
        predictions are used for, refusals (too few rows, one class only), and how long things take. Every training is a release of its own. A model that was trained before is let go: call :meth:`federated_learning` again."""
        self._table("add_differential_privacy_noise", peek=True)
        self._goal, self._run = (float(epsilon), float(delta)), None
        return self

    def federated_learning(self) -> Run:
        """Trains: parties add up under masks, with noise where there is a goal. Returns the run with its report and privacy statement. Report and run folder (temporary: it goes with
        this object) keep what a federation would release: no comparison with pooled rows, no table or count of a single party, no picture of rows, no hash of them."""
        data, self._run = self._table("federated_learning"), None
        unprotected = [CLASSES_FROM_Y] if self._goal is not None and self._classes is not None and self._given is None else []
        if self._goal is None:
            warn_once("no privacy goal: the sums of the parties are exact, and the model may reveal single records. Call add_differential_privacy_noise() first.")
        if unprotected:
            warn_once(f"not protected by the privacy goal: {CLASSES_FROM_Y}. Give LeptonClient(classes=[...]) from public knowledge, or target_bounds where y is a number.")
        job = self._job()
        folder = tempfile.TemporaryDirectory(prefix="lepton-", ignore_cleanup_errors=True)
        target = data[:, -1] if self._classes is None else [f"c{int(value)}" for value in data[:, -1]]
        table = Dataset(data[:, :-1], target=target, label="target")
        try:
            done = run(job, data=table, runs=folder.name, quiet=True, released_only=True)
            report = _released.prune(done.folder, done.report, [f"Not protected: {line}." for line in unprotected])
        except BaseException:
            folder.cleanup()
            raise
        self._folder, self._run = folder, _ClientRun(done.folder, report, done.low_budgets)
        self._run.unprotected = unprotected
        return self._run

    def get_model_params(self) -> str:
        """The trained weights as a JWE under this client's key, to be kept or sent; :meth:`decrypt_model_params` opens it."""
        tensors = self._trained("get_model_params").model.tensors()
        text = json.dumps({name: value.tolist() for name, value in tensors.items()})
        return encryption.encrypt(text, aes_keys=[self._key])

    def decrypt_model_params(self, model_params: str) -> dict[str, np.ndarray]:
        """The weights by name: of the features after preparation (bounds or logarithm, then standardised), as the model card says."""
        opened = json.loads(encryption.decrypt(model_params, keys=[self._key]))
        return {name: np.array(value) for name, value in opened.items()}

    def predict(self, X) -> np.ndarray:
        """The class of each row, in the type of y; or a number for each."""
        model = self._trained("predict").model
        found = model.predict(self._features(X, self._width)).values
        if self._classes is None:
            return found
        return self._classes[[int(name[1:]) for name in found]]

    def _features(self, X, width=None) -> np.ndarray:
        rows = _arrays.numbers(X, "X", 2)
        if not rows.shape[1] or (width is not None and rows.shape[1] != width):
            raise DataError(f"X has {rows.shape[1]} columns{'' if width is None else f', the model was trained on {width}'}")
        if self._bounds is None:
            return np.clip(np.sign(rows) * np.log1p(np.abs(rows)), -_LOG_LIMIT, _LOG_LIMIT)
        if self._bounds.shape != (rows.shape[1], 2) or not (self._bounds[:, 0] < self._bounds[:, 1]).all():
            raise DataError(f"bounds must be (low, high) for each of the {rows.shape[1]} features, low below high")
        return rows.clip(self._bounds[:, 0], self._bounds[:, 1])

    def _table(self, call: str, peek: bool = False):
        if self._sealed is not None and not peek:
            opened = [encryption.decrypt(piece, keys=[self._key]) for piece in self._sealed]
            return np.concatenate([np.load(io.BytesIO(piece), allow_pickle=False) for piece in opened])
        if self._data is None and self._sealed is None:
            raise UsageError(f"call preprocess_data(X, y) before {call}()")
        return self._data

    def _trained(self, call: str) -> Run:
        if self._run is None:
            raise UsageError(f"call federated_learning() before {call}()")
        return self._run

    def _job(self) -> dict:
        limits = self._bounds if self._bounds is not None else [[-_LOG_LIMIT, _LOG_LIMIT]] * self._width
        bounds = {f"x{number + 1}": [float(low), float(high)] for number, (low, high) in enumerate(limits)}
        job = {
            "job": {"name": "lepton-client", "task": "train"},
            "data": {
                "table": "table.arrow",
                "label": "target",
                "test_fraction": 0.2,
                "split_seed": 1,
                "split": {"by": "even" if self._goal is None else "hash", "parties": self._parties},
            },
            "prepare": {"scale": "standard", "bounds": bounds},
            "model": {"kind": "logistic", "l2": 0.001},
            "training": {"rounds": self._rounds, "local_epochs": 1, "batch": 32, "learning_rate": 0.05, "momentum": 0.9},
            "evaluation": {"every": self._rounds},
            "protection": {"aggregation": "masked", "colluders": 0 if self._parties == 2 else 1, "drops": 0},
        }
        if self._classes is None:
            job["model"]["kind"] = "linear"
            if self._goal is not None and self._target_bounds is None:
                raise UsageError("y is a number: with a privacy goal its public range is needed, LeptonClient(target_bounds=(low, high))")
            if self._target_bounds is not None:
                bounds["target"] = [float(limit) for limit in self._target_bounds]
        else:
            job["data"]["classes"] = [f"c{number}" for number in range(len(self._classes))]
            if len(self._classes) == 2:
                job["data"]["positive"] = "c1"
        if self._goal is not None:
            epsilon, delta = self._goal
            job["privacy"] = {"epsilon": epsilon, "delta": delta, "clip": 1.0}
            job["training"] = {"rounds": self._rounds, "sampling_rate": 0.5}
        return job


def _classes(target: np.ndarray):
    """The classes in order, or None for numbers."""
    if target.dtype.kind == "f" and not (np.isfinite(target).all() and (target == np.round(target)).all()):
        return None
    kinds = np.unique(target)
    return kinds if len(kinds) <= MOST_CLASSES or target.dtype.kind in "USb" else None


def _listed(classes) -> np.ndarray:
    """A public list of classes, in its order."""
    listed = np.asarray(classes)
    if listed.ndim != 1 or listed.dtype.kind not in "biufUSO" or len(listed) < 2 or len(set(listed.tolist())) < len(listed):
        raise UsageError("classes must be a list of at least two different values")
    return listed.astype(str) if listed.dtype.kind == "O" else listed


def coded(classes: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The place of each value in the list. The refusal of another value does not repeat it."""
    places = {value: place for place, value in enumerate(classes.tolist())}
    found = [places.get(value) for value in target.tolist()]
    if None in found:
        raise DataError("y has a value that is not in the list of classes")
    return np.array(found, dtype=np.int64)
