"""Sums, means and inner products on additive shares."""

import dataclasses

import numpy as np

from lepton_ai import _arrays, _native
from lepton_ai._arrays import dealt

#: Digits behind the binary point.
FRACTION_BITS = 16


@dataclasses.dataclass(frozen=True)
class Computed:
    """What ``parties`` parties computed from ``rows`` pairs without showing each other any. ``error``: no
    number is further than this from the exact one, by the rounding to multiples of 2**-16."""

    rows: int
    parties: int
    sum_x: float
    sum_y: float
    mean_x: float
    mean_y: float
    inner_product: float
    error: float


class SMPC:
    """Computations on additive shares modulo 2**64 among parties of this process (docs/protocols/secret-sharing.md): semi-honest parties, all but one of which may
    pool what they know, and a trusted dealer for the products. Outputs are exact: what they say of the inputs is not hidden, and there is no differential privacy.
    """

    def secure_multi_party_computation(self, x, y, n: int) -> Computed:
        """Sums, means and the inner product of two columns of equal length, among ``n`` parties (2 to 64).

        For sums and means the rows are dealt one by one to the parties; each shares the totals of its own rows, and the sum of the shares is opened. For
        the inner product the first party holds ``x`` and the second ``y``, the others compute with them, by Beaver's products; only the result is opened. Numbers are
        rounded to multiples of 2**-16. All of it happens on this machine. Raises :class:`DataError` for numbers that could overflow.

        >>> SMPC().secure_multi_party_computation([1, 2], [10, 20], 2).inner_product
        50.0
        """
        x, y = _arrays.numbers(x, "x", 1), _arrays.numbers(y, "y", 1)
        rows, _ = _arrays.rows_and_target(x, y)
        hands = dealt(len(rows), n)
        totals = np.array([[x[hand].sum(), y[hand].sum(), len(hand)] for hand in hands])
        sum_x, sum_y, count = _native.shared_sum(totals, FRACTION_BITS)
        (inner,) = _native.shared_inner_product(x, y, int(n), FRACTION_BITS)
        return Computed(int(count), int(n), sum_x, sum_y, sum_x / count, sum_y / count, inner, _error(x, y))


def _error(x, y) -> float:
    """Every number is rounded by at most half a step; a product of two by that of each times the other, and of both."""
    half = 2.0 ** -(FRACTION_BITS + 1)
    return float(half * (len(x) + np.abs(x).sum() + np.abs(y).sum()) + half * half * len(x))
