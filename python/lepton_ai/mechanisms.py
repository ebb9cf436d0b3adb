"""Mechanisms of differential privacy: a value goes in, the value with noise comes out.

The noise is drawn exactly on integers (Canonne, Kamath, Steinke 2020), real numbers on a grid: never a float with float noise, whose lowest bits give the
value away (Mironov 2012). Randomness is the operating system's. The **sensitivity** is the caller's word and cannot be guessed: how far the values can
move when one unit (a record, a person) comes or goes, in the sum of magnitudes (L1) for Laplace, in Euclidean norm (L2) for Gaussian. If it is too small
the guarantee does not hold. Every call is one release: the costs of several add up (:mod:`lepton_ai.accounting`).

Real numbers are clamped to ±2**62 steps of the grid first (±2**42 with the 20 bits that are the default), which brings no two of them further apart; what is released is
clamped to whole numbers of 64 bits, of steps where there is a grid.
"""

import numpy as np

from lepton_ai import _native
from lepton_ai._arrays import numbers
from lepton_ai.accounting import _positive, _whole
from lepton_ai.errors import DataError

#: Steps a unit of the grid that real numbers are rounded to.
GRID_BITS = 20


def laplace(values, *, l1_sensitivity: float, epsilon: float, bits: int = GRID_BITS):
    """``values`` (a number or an array, all of it one release) on a grid of 2**-bits with Laplace noise of scale ``l1_sensitivity / epsilon``: pure
    epsilon-differential privacy. The sensitivity must cover the error of computing the values in floating point; rounding to the grid is added here.

    >>> noisy = laplace([1.0, 2.0], l1_sensitivity=1.0, epsilon=0.5)
    >>> noisy.shape
    (2,)
    """
    array = numbers(values, "values")
    released, _ = _native.laplace(
        array.reshape(-1), _positive(l1_sensitivity, "l1_sensitivity"), _positive(epsilon, "epsilon"), _whole(bits, "bits", 0)
    )
    return _shaped(released, array)


def gaussian(values, *, l2_sensitivity: float, noise_multiplier: float, bits: int = GRID_BITS):
    """``values`` on a grid with discrete Gaussian noise of parameter ``l2_sensitivity * noise_multiplier`` or a little more: rounding to the grid is added to
    the sensitivity, which must cover the error of computing the values in floating point. What that costs, epsilon at a delta:
    ``RdpAccountant().compose(GaussianDpEvent(noise_multiplier)).get_epsilon(delta)``, or :class:`~lepton_ai.accounting.ZcdpAccountant` likewise: their bounds hold for discrete
    noise, that of ``PLDAccountant`` for this event is proved for continuous noise only. The multiplier for a goal: :func:`lepton_ai.accounting.gaussian_noise_multiplier`.

    >>> from lepton_ai.accounting import GaussianDpEvent, RdpAccountant
    >>> noisy = gaussian([1.0, 2.0], l2_sensitivity=1.0, noise_multiplier=4.0)
    >>> 1.0 < RdpAccountant().compose(GaussianDpEvent(4.0)).get_epsilon(1e-5) < 1.2
    True
    """
    array = numbers(values, "values")
    released, _ = _native.gaussian(
        array.reshape(-1), _positive(l2_sensitivity, "l2_sensitivity"), _positive(noise_multiplier, "noise_multiplier"), _whole(bits, "bits", 0)
    )
    return _shaped(released, array)


def discrete_laplace(values, *, l1_sensitivity: int, epsilon: float):
    """Whole numbers (int64) with discrete Laplace noise: pure epsilon-differential privacy.

    >>> int(discrete_laplace(1000, l1_sensitivity=1, epsilon=5.0)) in range(900, 1100)
    True
    """
    array = _integers(values)
    released, _ = _native.discrete_laplace(array.reshape(-1), _whole(l1_sensitivity, "l1_sensitivity"), _positive(epsilon, "epsilon"))
    return _shaped(released, array)


def discrete_gaussian(values, *, l2_sensitivity: float, noise_multiplier: float):
    """Whole numbers (int64) with discrete Gaussian noise of parameter ``l2_sensitivity * noise_multiplier``, rounded up to a whole number. The cost is stated
    as for :func:`gaussian`: by ``RdpAccountant`` or ``ZcdpAccountant`` with ``GaussianDpEvent(noise_multiplier)``, whose bounds hold for any number of coordinates."""
    array = _integers(values)
    released, _ = _native.discrete_gaussian(
        array.reshape(-1), _positive(l2_sensitivity, "l2_sensitivity"), _positive(noise_multiplier, "noise_multiplier")
    )
    return _shaped(released, array)


def randomised_response(answers, *, categories: int, epsilon: float):
    """Each answer (0 .. categories-1) as it is with a probability, and otherwise one of the others (Warner 1965): each answer is protected with epsilon
    by itself, whoever collects them. Shares of the population: :func:`response_shares`."""
    array, categories = _integers(answers), _whole(categories, "categories", 2)
    if array.size and (array.min() < 0 or array.max() >= categories):
        raise DataError(f"answers must be whole numbers from 0 to {categories - 1}")
    released, _ = _native.randomised_response(array.reshape(-1).astype(np.uint32), categories, _positive(epsilon, "epsilon"))
    return _shaped(released.astype(np.int64), array)


def response_shares(counts, *, epsilon: float) -> list[tuple[float, float]]:
    """For each category its share and the standard deviation of that, estimated from how often each was answered. A share may lie outside of 0 to 1."""
    return _native.response_shares([_whole(count, "a count", 0) for count in counts], _positive(epsilon, "epsilon"))


def _integers(values) -> np.ndarray:
    array = np.asarray(values)
    if array.dtype.kind not in "iu":
        raise DataError(f"whole numbers are needed, not {array.dtype}; for real numbers there are laplace and gaussian")
    if array.dtype.kind == "u" and array.size and int(array.max()) > 2**62:
        raise DataError("a number is beyond 2**62")
    return np.ascontiguousarray(array, dtype=np.int64) if array.ndim else np.asarray(array, dtype=np.int64)


def _shaped(released: np.ndarray, like: np.ndarray):
    return released.reshape(like.shape)[()]
