"""Noise on single values, each of which belongs to somebody."""

from lepton_ai import _arrays, mechanisms
from lepton_ai._once import warn_once
from lepton_ai.errors import UsageError

#: What values are taken to lie in when nobody says otherwise.
DEFAULT_BOUNDS = (0.0, 100.0)


class DP:
    """Laplace noise on a list of values, one from each record.

    A list and an epsilon do not make a guarantee: it must be known how far one record can move the list. Here every value is one record's own, and is
    moved into the public bounds ``lower`` to ``upper`` first. Replacing a record then changes one value by at most ``upper - lower``, and noise of scale
    ``(upper - lower) / epsilon`` on each value makes the whole list epsilon-differentially private with regard to replacing any one record, whoever sees it (it is also
    epsilon-*locally* private). Somebody with several values in the list, or in several lists, is protected with the sum of their epsilons.

    Without bounds they are 0 and 100, and a :class:`PrivacyWarning` says so once: bounds may not be taken from the data, as they would give away the largest value.

    Noise on single values is large. To release a sum, a mean or a model, add up first (:mod:`lepton_ai.mechanisms`).
    """

    def __init__(self, lower: float | None = None, upper: float | None = None):
        if (lower is None) != (upper is None):
            raise UsageError("give both bounds, or none")
        self._given = lower is not None
        self.lower, self.upper = (float(lower), float(upper)) if self._given else DEFAULT_BOUNDS
        if not self.lower < self.upper:
            raise UsageError(f"lower must be below upper, not {lower} and {upper}")

    def add_laplace_noise(self, x, epsilon: float):
        """``x`` (a number or a list) within the bounds, with Laplace noise on every value; a list for a list, an array for an array. One release.

        >>> noisy = DP(0, 5).add_laplace_noise([1, 2, 3], epsilon=1.0)
        >>> len(noisy)
        3
        """
        if not self._given:
            warn_once(
                f"no bounds were given: values are taken to lie between {self.lower:g} and {self.upper:g}, others are moved there, and the noise is for that "
                "range. Give DP(lower, upper) from public knowledge, not from the data."
            )
        values = _arrays.numbers(x, "x").clip(self.lower, self.upper)
        # One record moves one value: the L1 sensitivity of the list is that of a value, and each value is a release of its own record only.
        flat = [mechanisms.laplace(value, l1_sensitivity=self.upper - self.lower, epsilon=epsilon) for value in values.reshape(-1)]
        released = values.copy().reshape(-1)
        released[:] = flat
        released = released.reshape(values.shape)
        return released if hasattr(x, "dtype") else released.tolist()
