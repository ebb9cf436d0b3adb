"""Masked sums among parties of this process."""

import numpy as np

from lepton_ai import _native
from lepton_ai._arrays import numbers


def masked_sum(parties) -> np.ndarray:
    """The sum of the parties' vectors, added under pairwise and self masks as a federation adds them (Bonawitz et al. 2017; every party signs the set of
    survivors before anything is opened).

    ``parties``: an array of shape (n, d), a row for each of n parties, n from 2 to 255. Returns d numbers. Every entry is first rounded to a multiple of
    2**-24; the sum of those is exact. All parties live in this process, so the caller sees every input: the function plays a federation, it hides nothing
    from who calls it. Sums are exact; they are not differentially private.

    >>> masked_sum([[1.5, 2.0], [0.25, -2.0], [3.0, 1.0]])
    array([4.75, 1.  ])

    Raises :class:`DataError` for numbers that are not finite or too large (beyond about 2**38 in magnitude).
    """
    return _native.masked_sum(numbers(parties, "parties", 2))
