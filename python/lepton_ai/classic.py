"""The calls of the first articles about Lepton, on the real engine: what each does, in which meaning, stands with it."""

import numbers as _numbers
import os
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np

from lepton_ai import _arrays, encryption
from lepton_ai._once import warn_once
from lepton_ai.errors import DataError, UsageError
from lepton_ai.sums import masked_sum

#: Parties that a call plays when it is not told how many.
PARTIES = 3


class Encryptor:
    """Encrypts under a passphrase: an authenticated envelope (JWE, AES-256-GCM) whose key comes from the passphrase by Argon2id, with fresh salt and nonce.

    The passphrase is all the protection there is: a short one is found by trying, which a :class:`PrivacyWarning` says once.

    >>> sealer = Encryptor("correct horse battery staple")
    >>> sealer.decrypt(sealer.encrypt("Hello, World!"))
    b'Hello, World!'
    """

    def __init__(self, key: str | bytes):
        if not isinstance(key, (str, bytes)) or not key:
            raise UsageError("the key is a passphrase, a text that is not empty; for key pairs there is lepton_ai.encrypt")
        if len(key) < 12:
            warn_once("this passphrase has fewer than 12 characters: whoever gets the envelope can find it by trying. Take several random words.")
        self._key = key

    def encrypt(self, data: str | bytes) -> str:
        """The envelope of a text or of bytes, as text."""
        return encryption.encrypt(data, passphrase=self._key)

    def decrypt(self, token: str) -> bytes:
        """What an envelope holds; a text comes back as its UTF-8 bytes. Raises :class:`EnvelopeError` for another passphrase or a changed envelope."""
        return encryption.decrypt(token, passphrase=self._key)


class FederatedLearning:
    """Improves a linear model by federated gradient descent among local parties.

    ``model``: weights of shape (k, d), or (d,), without an intercept: the prediction for a row x of d numbers is ``model @ x``. ``update_model`` deals the
    rows to ``parties`` parties; in each of ``rounds`` rounds every party computes the gradient of its own squared error, the gradients are added under masks,
    and the model takes the step 1/trace of the mean square of the rows, which never makes the mean squared error larger.

    Sums are exact: they hide single parties, but are not differentially private. ``key`` is a passphrase: nothing in the masked sums needs it (they make fresh keys),
    :meth:`sealed_model` closes the model under it.
    """

    def __init__(self, model, key: str | bytes | None = None, *, parties: int = PARTIES, rounds: int = 1):
        self._like = model
        self._model = _arrays.numbers(model, "model")
        if self._model.ndim not in (1, 2) or not self._model.size:
            raise DataError(f"model must have the shape (outputs, features) or (features,), not {self._model.shape}")
        if rounds < 1:
            raise UsageError("rounds must be at least 1")
        self._key, self._parties, self._rounds = key, parties, rounds

    def update_model(self, data):
        """The model after learning from ``data``, in the type and shape that it was given in.

        ``data``: a pair ``(X, y)`` of rows (n, d) and targets (n,) or (n, k). Text, or anything else without targets, has nothing to learn from: a
        :class:`PrivacyWarning` says so once, every party's update is zero, and the masked sum of these leaves the model as it was.

        >>> FederatedLearning([0.0], rounds=200).update_model(([[1.0], [2.0], [3.0]], [2.0, 4.0, 6.0]))
        [2.0...]
        """
        if _labelled(data):
            rows, target = self._table(*data)
            for _ in range(self._rounds):
                self._step(rows, target)
        else:
            warn_once("these data have no targets to learn from: the parties' updates are zero and the model stays as it is. Give a pair (X, y).")
            self._model = self._model + masked_sum(np.zeros((self._parties, self._model.size))).reshape(self._model.shape)
        return self._model.copy() if isinstance(self._like, np.ndarray) else self._model.tolist()

    def sealed_model(self) -> str:
        """The model as a JWE of its JSON form under ``key``."""
        import json

        if self._key is None:
            raise UsageError("FederatedLearning was made without a key")
        return Encryptor(self._key).encrypt(json.dumps(self._model.tolist()))

    def _table(self, x, y):
        rows = _arrays.numbers(x, "X", 2)
        target = _arrays.numbers(y, "y")
        outputs = 1 if self._model.ndim == 1 else self._model.shape[0]
        target = target.reshape(len(target), -1) if target.ndim else target
        if target.ndim != 2 or target.shape != (len(rows), outputs) or rows.shape[1] != self._model.shape[-1]:
            raise DataError(
                f"X {rows.shape} and y {np.shape(y)} do not fit the model {self._model.shape}: X is (n, {self._model.shape[-1]}), y is (n,) or (n, {outputs})"
            )
        return rows, target

    def _step(self, rows, target):
        weights = self._model.reshape(-1, rows.shape[1])

        def share(hand):
            error = rows[hand] @ weights.T - target[hand]
            return np.concatenate([(error.T @ rows[hand]).ravel(), [np.square(rows[hand]).sum()]])

        total = masked_sum([share(hand) for hand in _arrays.dealt(len(rows), self._parties)])
        if total[-1] > 0:
            weights = weights - total[:-1].reshape(weights.shape) / total[-1]
        self._model = weights.reshape(self._model.shape)


class DistributedComputation:
    """A computation on partitions of the data, on all cores of this machine: map, then reduce. Nothing is hidden between the partitions.

    ``task`` is one of

    * a function of one partition: the result is the list of what it returns, in order;
    * a pair ``(map, reduce)`` of functions: ``reduce`` gets that list;
    * a list of partitions of numbers: each is added up, and the result is the list of the sums. The task is then the data itself; other data
      given to :meth:`compute` have no part in it, which a :class:`PrivacyWarning` says once.

    >>> DistributedComputation([[1, 2], [3, 4], [5, 6]]).compute(None)
    [3, 7, 11]
    >>> DistributedComputation((len, sum), parallel="threads").compute("Hello, World!")
    13
    """

    def __init__(self, task, *, partitions: int | None = None, parallel: str = "processes"):
        if parallel not in ("processes", "threads"):
            raise UsageError(f"parallel is 'processes' or 'threads', not {parallel!r}")
        self._partitions = partitions or os.cpu_count() or 1
        self._parallel = parallel
        self._map, self._reduce, self._own = _task(task)

    def compute(self, data):
        """Carries the task out. ``data``: a text, a list, or an array; functions get consecutive pieces of it.

        Functions run in processes of their own by default, so that they use all cores: they must be importable (defined at the top of a module, and the program
        guarded by ``if __name__ == "__main__":``); with ``parallel="threads"`` they need not be. What they raise comes out here.
        """
        if self._own is not None:
            if data is not None:
                warn_once("the task is a list of partitions of numbers and is added up itself; the data have no part in it. For a computation on data give a function.")
            return [sum(part) for part in self._own]
        pieces = _pieces(data, self._partitions)
        found = self._mapped(pieces)
        return found if self._reduce is None else self._reduce(found)

    def _mapped(self, pieces):
        workers = min(len(pieces), os.cpu_count() or 1)
        if self._parallel == "threads" or workers < 2:
            with ThreadPoolExecutor(max(workers, 1)) as pool:
                return list(pool.map(self._map, pieces))
        import multiprocessing
        import pickle

        try:
            pickle.dumps((self._map, pieces[0]))
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise UsageError(f"the task cannot go to another process ({error}); define it at the top of a module, or give parallel='threads'") from None
        with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
            return list(pool.map(self._map, pieces))


def _labelled(data) -> bool:
    return isinstance(data, tuple) and len(data) == 2


def _task(task):
    if callable(task):
        return task, None, None
    if isinstance(task, tuple) and len(task) == 2 and all(callable(part) for part in task):
        return task[0], task[1], None
    try:
        own = [list(part) for part in task]
    except TypeError:
        own = None
    if not own or not all(isinstance(value, (_numbers.Number, np.number)) and not isinstance(value, bool) for part in own for value in part):
        raise UsageError("a task is a function, a pair (map, reduce), or a list of lists of numbers")
    return None, None, own


def _pieces(data, count: int) -> list:
    if not hasattr(data, "__len__") or not hasattr(data, "__getitem__") or isinstance(data, dict):
        raise DataError(f"data must be a sequence to be cut into pieces, not a {type(data).__name__}")
    count = max(min(count, len(data)), 1)
    edges = [len(data) * piece // count for piece in range(count + 1)]
    return [data[start:end] for start, end in zip(edges, edges[1:])]
