"""Writes mechanisms.json: the analytic Gaussian mechanism (Balle, Wang 2018, theorem 8) and exp(-y^2 / (2 sigma^2)), from 60-digit arithmetic.

Run: python3 make_mechanisms.py > mechanisms.json   (needs mpmath, nothing else)
"""
import json
import sys

from mpmath import erfc, exp, mp, mpf, sqrt

mp.dps = 120


def delta_at(epsilon, mu):
    """Phi(mu/2 - epsilon/mu) - e^epsilon Phi(-mu/2 - epsilon/mu), mu = sensitivity / sigma."""
    phi = lambda x: erfc(-x / sqrt(mpf(2))) / 2
    return phi(mu / 2 - epsilon / mu) - exp(epsilon) * phi(-mu / 2 - epsilon / mu)


def bisect(meets, low, high):
    """Smallest number that meets, by 200 halvings in the logarithm."""
    low, high = mpf(low), mpf(high)
    for _ in range(260):
        middle = sqrt(low * high)
        low, high = (low, middle) if meets(middle) else (middle, high)
    return high


def sigma_for(epsilon, delta):
    return bisect(lambda sigma: delta_at(epsilon, 1 / sigma) <= delta, "1e-4", "1e12")


def epsilon_for(delta, z):
    if delta_at(mpf(0), 1 / z) <= delta:
        return mpf(0)
    return bisect(lambda epsilon: delta_at(epsilon, 1 / z) <= delta, "1e-30", "1e9")


text = lambda x: mp.nstr(x, 30)
DELTA = [(0.0, 1.0), (0.0, 1000.0), (1e-6, 1e5), (0.5, 1.0), (1.0, 0.3), (1.0, 3.73), (3.0, 0.8), (8.0, 0.4), (0.1, 30.0), (0.1, 45.0), (1e-3, 3000.0),
         (1e-4, 20000.0), (20.0, 0.2), (50.0, 0.1), (100.0, 0.1), (5.0, 5.0), (0.01, 0.5), (2.0, 6.0), (0.3, 100.0), (0.003, 1234.5)]
EPSILON = [(1e-5, 1.0), (1e-10, 1.0), (1e-3, 50.0), (1e-6, 0.9487), (0.5, 0.1), (1e-5, 0.1), (1e-12, 100.0), (0.3, 0.5), (1e-9, 3e3), (0.4, 1.0)]
SIGMA = [(e, d) for e in (0.01, 0.1, 0.5, 1.0, 3.0, 10.0, 40.0) for d in (1e-3, 1e-5, 1e-6, 1e-10, 1e-15)] + [(1.0, 0.1), (0.05, 0.3), (1e-4, 1e-6)]
CURVE = [(s, y) for s in (1, 2, 3, 16, 100, 1000, 1 << 20) for y in sorted({0, 1, 2, s, s + 1, 2 * s + 1, 3 * s, 5 * s + 1, 7 * s, 10 * s, 12 * s, 13 * s})]

json.dump(
    {
        "meta": {"tool": "mpmath " + __import__("mpmath").__version__, "digits": mp.dps, "script": "make_mechanisms.py"},
        "delta": [{"epsilon": e, "noise_multiplier": z, "delta": text(delta_at(mpf(e), 1 / mpf(z)))} for e, z in DELTA],
        "epsilon": [{"delta": d, "noise_multiplier": z, "epsilon": text(epsilon_for(mpf(d), mpf(z)))} for d, z in EPSILON],
        "sigma": [{"epsilon": e, "delta": d, "sigma": text(sigma_for(mpf(e), mpf(d)))} for e, d in SIGMA],
        "curve": [{"sigma": s, "y": y, "weight": text(exp(-mpf(y) ** 2 / (2 * mpf(s) ** 2)))} for s, y in CURVE],
    },
    sys.stdout,
    indent=1,
)
print()
