"""Estimators in the manner of scikit-learn, which is imported when an estimator is made and is no dependency of the package.

All parties live in this process and rows are dealt to them: an estimator shows what a federation would learn. Sums are exact where the name does not
begin with ``DP``: they hide single parties, and are not differentially private. An estimator keeps of its run what a federation would release
(``report_`` and the model), and nothing that only a simulation can make from rows.
"""

import pathlib
import tempfile

import numpy as np

from lepton_ai import _arrays, _released, mechanisms
from lepton_ai import client as _client
from lepton_ai._linear import least_squares
from lepton_ai._once import warn_once
from lepton_ai.errors import DataError, UsageError
from lepton_ai.model import Model
from lepton_ai.running import run
from lepton_ai.tables import Dataset

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, TransformerMixin
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as missing:  # pragma: no cover
    raise ImportError("lepton_ai.sklearn needs scikit-learn 1.6 or newer: pip install scikit-learn") from missing

#: Steps a unit that the scaler counts in.
_STEPS = 2**20


class FederatedLinearRegression(RegressorMixin, BaseEstimator):
    """Least squares from masked sums: the fit of the pooled rows, up to the rounding of the sums (2**-24).

    ``parties``: how many parties the rows are dealt to, fewer where there are fewer rows. ``l2``: ridge penalty on the coefficients, per row.
    """

    def __init__(self, *, parties: int = 3, l2: float = 0.0):
        self.parties = parties
        self.l2 = l2

    def fit(self, X, y):
        """Fits; at least two rows."""
        X, y = validate_data(self, X, y, dtype=np.float64, y_numeric=True, ensure_min_samples=2)
        rows, target = _arrays.rows_and_target(X, y, ("X", "y"))
        self.coef_, self.intercept_, _ = least_squares(rows, target, min(self.parties, len(rows)), self.l2)
        return self

    def predict(self, X):
        """One number a row."""
        check_is_fitted(self)
        return validate_data(self, X, dtype=np.float64, reset=False) @ self.coef_ + self.intercept_


class _Logistic(ClassifierMixin, BaseEstimator):
    """Logistic regression by the training of ``lepton run``."""

    def fit(self, X, y):
        """Fits; at least two rows for each party and two more, of at least two classes."""
        X, y = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(y)
        self.classes_, codes = self._coded(y)
        if len(self.classes_) < 2:
            raise DataError("y has one class only; there is nothing to tell apart (the number of classes must be greater than one)")
        least = 2 * self.parties + 2
        if len(X) < least:
            raise DataError(f"{len(X)} rows (n_samples={len(X)}) are too few to deal to {self.parties} parties; {least} are needed")
        table = Dataset(self._prepared(X), target=[f"c{code:04}" for code in codes], label="target")
        with tempfile.TemporaryDirectory(prefix="lepton-", ignore_cleanup_errors=True) as folder:
            done = run(self._job(X.shape[1]), data=table, runs=folder, quiet=True, released_only=True)
            self.report_ = _released.released(done.report)
            self._keep(done.model)
        return self

    def _keep(self, model):
        """The model outlives its run folder, and the estimator can be pickled: its file is kept as bytes."""
        self._files = {"model.safetensors": (model.folder / "model.safetensors").read_bytes()}

    def _coded(self, y):
        return np.unique(y, return_inverse=True)

    def predict_proba(self, X):
        """Shape (rows, classes), in the order of ``classes_``."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        with tempfile.TemporaryDirectory(prefix="lepton-", ignore_cleanup_errors=True) as folder:
            for name, content in self._files.items():
                (pathlib.Path(folder) / name).write_bytes(content)
            found = Model(folder).predict(self._prepared(X))
        order = [found.classes.index(f"c{code:04}") for code in range(len(self.classes_))]
        return found.probabilities[:, order]

    def predict(self, X):
        """The most probable class of each row."""
        check_is_fitted(self)
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def _prepared(self, X):
        return X

    def _job(self, width: int) -> dict:
        classes = [f"c{code:04}" for code in range(len(self.classes_))]
        return {
            "job": {"name": "estimator", "task": "train"},
            "data": {
                "table": "table.arrow",
                "label": "target",
                "classes": classes,
                "positive": classes[1] if len(classes) == 2 else None,
                "test_fraction": 0.05,
                "split_seed": 1,
                "split": {"by": "even", "parties": self.parties},
            },
            "prepare": {"scale": "standard"},
            "model": {"kind": "logistic", "l2": float(self.l2)},
            "training": {"rounds": self.rounds},
            "protection": {"aggregation": "masked", "colluders": 0 if self.parties == 2 else 1, "drops": 0},
        }


class FederatedLogisticRegression(_Logistic):
    """Logistic and multinomial regression: local SGD with momentum at each party, updates averaged under masks (FedAvg).

    ``parties``, ``rounds``; ``local_epochs`` passes over its rows that a party makes in a round, ``learning_rate``, ``batch``; ``l2`` penalty.
    """

    def __init__(self, *, parties: int = 3, rounds: int = 30, local_epochs: int = 2, batch: int = 32, learning_rate: float = 0.1, l2: float = 1e-4):
        self.parties = parties
        self.rounds = rounds
        self.local_epochs = local_epochs
        self.batch = batch
        self.learning_rate = learning_rate
        self.l2 = l2

    def _job(self, width: int) -> dict:
        job = super()._job(width)
        job["training"] |= {
            "local_epochs": self.local_epochs,
            "batch": self.batch,
            "learning_rate": float(self.learning_rate),
            "momentum": 0.9,
        }
        return job


class DPLogisticRegression(_Logistic):
    """Logistic and multinomial regression that is (epsilon, delta)-differentially private for each record, add or remove, noise inside the masked sums.

    ``bounds``: (low, high) of each feature, or one pair for all of them, from public knowledge: compulsory, and values outside are moved to the nearer end.
    ``classes``: the list of classes, from public knowledge; a value of y outside of it is refused. Without it the list is read off y and **not protected**, of which a
    :class:`PrivacyWarning` warns once. What was spent stands in ``report_["privacy"]``. Every ``fit`` is a release of its own.

    Each row goes to the party that a hash of it names, so that a row more or less moves no other. Refusals (too few rows, one class only, missing values) are visible and
    not covered.
    """

    def __init__(self, *, epsilon: float = 3.0, delta: float = 1e-6, bounds=None, classes=None, parties: int = 3, rounds: int = 30, sampling_rate: float = 0.5, clip: float = 1.0, l2: float = 1e-4):
        self.epsilon = epsilon
        self.delta = delta
        self.bounds = bounds
        self.classes = classes
        self.parties = parties
        self.rounds = rounds
        self.sampling_rate = sampling_rate
        self.clip = clip
        self.l2 = l2

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.non_deterministic = True
        tags.classifier_tags.poor_score = True
        return tags

    def _coded(self, y):
        if self.classes is None:
            warn_once("the list of classes is taken from y and is not protected by epsilon and delta. Give the public list: DPLogisticRegression(classes=[...]).")
            return super()._coded(y)
        listed = np.unique(_client._listed(self.classes))
        return listed, _client.coded(listed, np.asarray(y))

    def _prepared(self, X):
        limits = _limits(self.bounds, X.shape[1])
        return X.clip(limits[:, 0], limits[:, 1])

    def _job(self, width: int) -> dict:
        job = super()._job(width)
        limits = _limits(self.bounds, width)
        job["prepare"]["bounds"] = {f"x{number + 1}": [float(low), float(high)] for number, (low, high) in enumerate(limits)}
        # A row more or less must move no other to another party.
        job["data"]["split"]["by"] = "hash"
        job["privacy"] = {"epsilon": float(self.epsilon), "delta": float(self.delta), "clip": float(self.clip)}
        job["training"]["sampling_rate"] = float(self.sampling_rate)
        return job


class DPStandardScaler(TransformerMixin, BaseEstimator):
    """Centres and scales by noised means and standard deviations: epsilon-differentially private for each record, add or remove.

    ``bounds``: (low, high) of each feature, or one pair for all, from public knowledge: compulsory. Rows are moved into them; then the count, the sums and the
    sums of squares (of values scaled to -1 .. 1 and put on a grid of 2**-20, each by itself) are released once as whole numbers with discrete Laplace noise of a common
    L1 sensitivity, 1 + 2 d for d features. Refusals are visible and not covered.
    """

    def __init__(self, *, epsilon: float = 1.0, bounds=None):
        self.epsilon = epsilon
        self.bounds = bounds

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.non_deterministic = True
        return tags

    def fit(self, X, y=None):
        """Measures; one release."""
        X = validate_data(self, X, dtype=np.float64)
        width = X.shape[1]
        limits = _limits(self.bounds, width)
        middle, half = limits.mean(axis=1), (limits[:, 1] - limits[:, 0]) / 2
        unit = ((X.clip(limits[:, 0], limits[:, 1]) - middle) / half).clip(-1, 1)
        # Each value becomes whole steps before anything is added up, by a rule that looks at this value and the bounds only: one of -_STEPS .. _STEPS, its square one of 0 .. _STEPS.
        # A record that comes or goes therefore moves the count by 1 (weighed as _STEPS), each of the d sums by at most _STEPS and each of the d sums of squares by
        # at most _STEPS, and whole numbers add up without rounding: its L1 norm is at most _STEPS (1 + 2 d), exactly. 2**43 rows would be needed to leave int64.
        steps = [np.rint(part * _STEPS).astype(np.int64).sum(axis=0) for part in (unit, np.square(unit))]
        sums = np.concatenate([[len(unit) * _STEPS], *steps])
        noisy = mechanisms.discrete_laplace(sums, l1_sensitivity=_STEPS * (1 + 2 * width), epsilon=self.epsilon) / _STEPS
        count = max(noisy[0], 1.0)
        mean = (noisy[1 : 1 + width] / count).clip(-1, 1)
        variance = (noisy[1 + width :] / count - np.square(mean)).clip(1e-6, 1)
        self.mean_, self.scale_ = middle + half * mean, half * np.sqrt(variance)
        return self

    def transform(self, X):
        """Rows in the released units."""
        check_is_fitted(self)
        return (validate_data(self, X, dtype=np.float64, reset=False) - self.mean_) / self.scale_

    def inverse_transform(self, X):
        """Back to the units of before."""
        check_is_fitted(self)
        return np.asarray(X) * self.scale_ + self.mean_


def _limits(bounds, width: int) -> np.ndarray:
    if bounds is None:
        raise UsageError("bounds are compulsory: (low, high) of the features from public knowledge, not from the data")
    limits = _arrays.numbers(bounds, "bounds")
    limits = np.tile(limits, (width, 1)) if limits.shape == (2,) else limits
    if limits.shape != (width, 2) or not (limits[:, 0] < limits[:, 1]).all():
        raise DataError(f"bounds must be (low, high), low below high, for all or for each of the {width} features")
    with np.errstate(over="ignore"):
        middle, half = limits.mean(axis=1), (limits[:, 1] - limits[:, 0]) / 2
    if not (np.isfinite(middle).all() and np.isfinite(half).all() and (half > 0).all()):
        raise DataError("bounds are too far apart, or too near each other, to be told apart in floating point")
    return limits
