"""Accountants: what releases cost together, as epsilon at a delta, never too low (docs/protocols/accounting.md).

The names are those of Google's ``dp-accounting`` where it has them, so that programs move over by changing an import:

>>> accountant = RdpAccountant().compose(PoissonSampledDpEvent(0.01, GaussianDpEvent(1.0)), 1000)
>>> 2.0 < accountant.get_epsilon(1e-5) < 2.2
True

Sensitivities are 1 as there: a noise multiplier is the noise over the sensitivity. ``NeighboringRelation.REPLACE_ONE`` means that a record is exchanged for
another one, and two contributions may be opposite: the accountants take the double distance themselves.
"""

import dataclasses
import enum
import json
import math

from lepton_ai import _native
from lepton_ai.errors import UsageError


class NeighboringRelation(enum.Enum):
    """What two data sets may differ in."""

    ADD_OR_REMOVE_ONE = "add-remove"
    REPLACE_ONE = "replace-one"


class DpEvent:
    """A release, or several."""


@dataclasses.dataclass(frozen=True)
class NoOpDpEvent(DpEvent):
    """Nothing is released."""


@dataclasses.dataclass(frozen=True)
class GaussianDpEvent(DpEvent):
    """Gaussian noise of standard deviation ``noise_multiplier`` times the L2 sensitivity. :class:`PLDAccountant` takes it as continuous, and its bound is proved for continuous
    noise only; those of :class:`RdpAccountant` and of :class:`ZcdpAccountant` hold, unsampled, for discrete noise too
    (docs/protocols/accounting.md, AC-04, AC-21)."""

    noise_multiplier: float


@dataclasses.dataclass(frozen=True)
class LaplaceDpEvent(DpEvent):
    """Laplace noise of scale ``noise_multiplier`` times the L1 sensitivity."""

    noise_multiplier: float


@dataclasses.dataclass(frozen=True)
class DiscreteGaussianDpEvent(DpEvent):
    """Discrete Gaussian noise of parameter ``sigma`` on integers of this L2 sensitivity."""

    sigma: float
    sensitivity: int = 1


@dataclasses.dataclass(frozen=True)
class DiscreteLaplaceDpEvent(DpEvent):
    """Discrete Laplace noise of scale ``noise_parameter``'s inverse, on integers of this sensitivity: density proportional to exp(-noise_parameter |x|)."""

    noise_parameter: float
    sensitivity: int = 1


@dataclasses.dataclass(frozen=True)
class RandomizedResponseDpEvent(DpEvent):
    """With the chance ``noise_parameter`` a uniformly random one of ``num_buckets`` answers, otherwise the true one. Under replace-one only."""

    noise_parameter: float
    num_buckets: int = 2


@dataclasses.dataclass(frozen=True)
class PoissonSampledDpEvent(DpEvent):
    """``event`` on a fresh sample, into which each record comes by itself with this chance."""

    sampling_probability: float
    event: DpEvent


@dataclasses.dataclass(frozen=True)
class SelfComposedDpEvent(DpEvent):
    """``event``, ``count`` times."""

    event: DpEvent
    count: int


@dataclasses.dataclass(frozen=True)
class ComposedDpEvent(DpEvent):
    """All of these."""

    events: tuple

    def __init__(self, events):
        object.__setattr__(self, "events", tuple(events))


class _Accountant:
    _name = ""

    def __init__(self, neighboring_relation: NeighboringRelation = NeighboringRelation.ADD_OR_REMOVE_ONE):
        self._relation = _relation(neighboring_relation)
        self._events: list[dict] = []

    def compose(self, event: DpEvent, count: int = 1):
        """Adds ``event``, ``count`` times; returns the accountant. Raises :class:`UsageError` for an event that is not covered."""
        self._events.extend(_listed(event, count))
        return self

    def get_epsilon(self, target_delta: float) -> float:
        """The smallest epsilon that this accountant can show at ``target_delta``, rounded up; 0 where nothing was released."""
        return self._asked(delta=float(target_delta))["epsilon"] if self._events else 0.0

    def get_delta(self, target_epsilon: float) -> float:
        """The smallest delta that this accountant can show at ``target_epsilon``, rounded up."""
        return self._asked(epsilon=float(target_epsilon))["delta"] if self._events else 0.0

    def _asked(self, **asked) -> dict:
        document = {"adjacency": self._relation.value, "events": self._events}
        return json.loads(_native.account(json.dumps(document), self._name, **asked))


class PLDAccountant(_Accountant):
    """Privacy loss distributions: nearly exact."""

    _name = "pld"


class RdpAccountant(_Accountant):
    """Rényi differential privacy (Mironov 2017): fast, a few per cent above the truth."""

    _name = "rdp"


class ZcdpAccountant(_Accountant):
    """Zero-concentrated differential privacy (Bun, Steinke 2016): one number, rho, that adds up. For unsampled Gaussian and Laplace noise."""

    def compose(self, event: DpEvent, count: int = 1):
        """Adds ``event``, ``count`` times; returns the accountant."""
        for one in _listed(event, count):
            _rho(one)
            self._events.append(one)
        return self

    @property
    def rho(self) -> float:
        """What was spent, rounded up."""
        double = 4.0 if self._relation is NeighboringRelation.REPLACE_ONE else 1.0
        total = math.fsum(one.get("count", 1) * _rho(one) for one in self._events)
        return math.nextafter(total * double * (1 + 1e-14), math.inf) if total else 0.0

    def get_epsilon(self, target_delta: float) -> float:
        """Epsilon at ``target_delta``, rounded up."""
        return _native.zcdp_epsilon(self.rho, float(target_delta)) if self._events else 0.0

    def get_delta(self, target_epsilon: float) -> float:
        """Delta at ``target_epsilon``, rounded up."""
        return _native.zcdp_delta(self.rho, float(target_epsilon)) if self._events else 0.0


def calibrate_dp_mechanism(make_fresh_accountant, make_event_from_param, target_epsilon: float, target_delta: float, *, tol: float = 1e-6) -> float:
    """The least noise parameter, up to ``tol`` of itself, with which ``make_event_from_param(parameter)`` stays within the goal. More noise must cost less.
    What is returned meets the goal. Raises :class:`UsageError` if no parameter up to 2**40 does.

    >>> multiplier = calibrate_dp_mechanism(RdpAccountant, GaussianDpEvent, 1.0, 1e-5)
    >>> RdpAccountant().compose(GaussianDpEvent(multiplier)).get_epsilon(1e-5) <= 1.0
    True
    """
    if not 0 < _positive(tol, "tol") < 1:
        raise UsageError(f"tol must be below 1, not {tol!r}")

    def meets(parameter: float) -> bool:
        accountant = make_fresh_accountant()
        return accountant.compose(make_event_from_param(parameter)).get_epsilon(target_delta) <= target_epsilon

    high = 1.0
    while not meets(high):
        high *= 2
        if high > 2**40:
            raise UsageError(f"no noise up to 2**40 reaches epsilon {target_epsilon} at delta {target_delta}")
    low = high / 2
    while low > 2**-20 and meets(low):
        low, high = low / 2, low
    while high - low > tol * high:
        middle = (low + high) / 2
        if not low < middle < high:
            break
        low, high = (low, middle) if meets(middle) else (middle, high)
    return high


def gaussian_noise_multiplier(epsilon: float, delta: float, *, releases: int = 1) -> float:
    """The noise multiplier with which ``releases`` Gaussian releases, continuous or discrete, together cost no more than ``epsilon`` at ``delta``
    (by Rényi differential privacy, which holds for both)."""
    events = [{"mechanism": "gaussian", "sigma": 1.0, "count": _whole(releases, "releases")}]
    text = json.dumps({"adjacency": "add-remove", "events": events})
    found = json.loads(_native.account(text, "rdp", delta=float(delta), epsilon=float(epsilon), calibrate=True))
    return found["calibration"]["events"][0]["sigma"]


def _relation(given) -> NeighboringRelation:
    """A relation by itself, by its text, or by the name of another library's: ``dp_accounting.NeighboringRelation.REPLACE_ONE`` means what it says."""
    if isinstance(given, NeighboringRelation):
        return given
    name = given.name if isinstance(given, enum.Enum) else given
    for one in NeighboringRelation:
        if isinstance(name, str) and name.upper().replace("-", "_") in (one.name, one.value.upper().replace("-", "_")):
            return one
    raise UsageError(f"the neighbouring relation is {' or '.join(repr(one.value) for one in NeighboringRelation)}, not {given!r}")


def _whole(value, name: str, least: int = 1) -> int:
    try:
        whole = int(value)
    except (TypeError, ValueError, OverflowError):
        whole = None
    if whole is None or type(value).__name__ in ("bool", "bool_", "str", "bytes") or whole != value or whole < least:
        raise UsageError(f"{name} must be a whole number of at least {least}, not {value!r}")
    return whole


def _positive(value, name: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if isinstance(value, (str, bytes)) or not 0 < number < math.inf:
        raise UsageError(f"{name} must be a finite number above 0, not {value!r}")
    return number


def _listed(event: DpEvent, count: int) -> list[dict]:
    count = _whole(count, "count")
    if isinstance(event, NoOpDpEvent):
        return []
    if isinstance(event, SelfComposedDpEvent):
        return _listed(event.event, _whole(event.count, "count") * count)
    if isinstance(event, ComposedDpEvent):
        return [one for inner in event.events for one in _listed(inner, count)]
    return [{**_one(event), "count": count}]


def _one(event: DpEvent) -> dict:
    if isinstance(event, PoissonSampledDpEvent):
        inner = _listed(event.event, 1)
        if len(inner) != 1 or inner[0]["count"] != 1 or "poisson" in inner[0]:
            raise UsageError("a Poisson sample is covered for one release of it; sample each of several releases by itself")
        return {**inner[0], "poisson": float(event.sampling_probability)}
    known = {
        GaussianDpEvent: lambda: {"mechanism": "gaussian", "sigma": _positive(event.noise_multiplier, "noise_multiplier")},
        LaplaceDpEvent: lambda: {"mechanism": "laplace", "scale": _positive(event.noise_multiplier, "noise_multiplier")},
        DiscreteGaussianDpEvent: lambda: {
            "mechanism": "discrete-gaussian",
            "sigma": _positive(event.sigma, "sigma"),
            "sensitivity": _whole(event.sensitivity, "sensitivity"),
        },
        DiscreteLaplaceDpEvent: lambda: {
            "mechanism": "discrete-laplace",
            "scale": math.nextafter(1 / _positive(event.noise_parameter, "noise_parameter"), 0.0),
            "sensitivity": _whole(event.sensitivity, "sensitivity"),
        },
        RandomizedResponseDpEvent: lambda: {
            "mechanism": "randomised-response",
            "probability": float(event.noise_parameter),
            "categories": _whole(event.num_buckets, "num_buckets", 2),
        },
    }
    make = known.get(type(event))
    if make is None:
        raise UsageError(f"{type(event).__name__} is not covered; there are {', '.join(sorted(kind.__name__ for kind in known))} and Poisson samples of them")
    return make()


def _rho(one: dict) -> float:
    if "poisson" in one:
        raise UsageError("zero-concentrated privacy does not gain by sampling; use RdpAccountant or PLDAccountant")
    if one["mechanism"] in ("gaussian", "discrete-gaussian"):
        return 0.5 * (one.get("sensitivity", 1) / one["sigma"]) ** 2
    if one["mechanism"] in ("laplace", "discrete-laplace"):
        return 0.5 * (one.get("sensitivity", 1) / one["scale"]) ** 2
    raise UsageError(f"{one['mechanism']} is not covered by zero-concentrated privacy here; use PLDAccountant")
