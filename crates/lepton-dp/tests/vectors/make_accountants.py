#!/usr/bin/env python3
"""Writes accountants_mpmath.json beside itself: values at 60 digits that the accountants are checked against. Needs mpmath.

    python3 make_accountants.py
"""
import json
import pathlib

from mpmath import binomial, e, erfc, exp, expm1, findroot, inf, log, mp, mpf, quad, sqrt, pi

mp.dps = 60


def rdp(q, sigma, order):
    """Both directions' larger Renyi divergence of the sampled Gaussian mechanism: ln E[(1-q+q r)^a] / (a-1), by adaptive quadrature."""
    q, sigma, a = mpf(q), mpf(sigma), mpf(order)
    def term(x):
        u = q * expm1((2 * x - 1) / (2 * sigma**2))
        return ((1 + u)**a - 1 - a * u) * exp(-x**2 / (2 * sigma**2)) / (sigma * sqrt(2 * pi))
    middle = sigma**2 * log(1 / q) + mpf(1) / 2
    ends = sorted({-60 * sigma, -10 * sigma, -3 * sigma, mpf(0), 3 * sigma, 10 * sigma, 30 * sigma, middle, middle - sigma, middle + sigma, a - 3 * sigma, a, a + 3 * sigma, a + 10 * sigma,
                   a + 60 * sigma, 60 * sigma})
    return log(1 + quad(term, ends)) / (a - 1)


def gaussian_delta(mu, epsilon):
    mu, epsilon = mpf(mu), mpf(epsilon)
    tail = lambda x: erfc(x / sqrt(2)) / 2
    z = epsilon / mu - mu / 2
    return tail(z) - exp(epsilon) * tail(z + mu)


def gaussian_epsilon(sigma, count, delta):
    mu, delta = sqrt(mpf(count)) / mpf(sigma), mpf(delta)
    low, high = mpf(0), mpf(1)
    while gaussian_delta(mu, high) > delta:
        low, high = high, 2 * high
    for _ in range(190):
        middle = (low + high) / 2
        low, high = (middle, high) if gaussian_delta(mu, middle) > delta else (low, middle)
    return high


def binomial_epsilon(loss, count, delta):
    """Two losses +-loss, +loss with probability e^loss / (1 + e^loss), `count` times: the exact curve (randomised response, Kairouz et al. 2015)."""
    loss, delta = mpf(loss), mpf(delta)
    p = exp(loss) / (1 + exp(loss))
    masses = [(loss * (2 * k - count), binomial(count, k) * p**k * (1 - p)**(count - k)) for k in range(count + 1)]
    def weight(epsilon):
        return sum(m * -expm1(epsilon - x) for x, m in masses if x > epsilon)
    low, high = mpf(0), loss * count
    for _ in range(150):
        middle = (low + high) / 2
        low, high = (middle, high) if weight(middle) > delta else (low, middle)
    return high


def main():
    text = lambda value: mp.nstr(value, 30)
    out = {"sampled_gaussian_rdp": [], "gaussian": [], "binomial": []}
    for q, sigma, order in [("0.01", "1", "1.1"), ("0.01", "1", "7.8"), ("0.01", "0.6", "2.7"), ("0.1", "2", "3.5"), ("0.02", "0.4", "1.4"), ("0.02", "0.4", "2.3"), ("0.5", "0.3", "1.5"),
                            ("0.9", "3", "12.5"), ("1e-7", "1", "1.2"), ("1e-7", "0.3", "1.7"), ("1e-7", "1000", "63.5"), ("1e-4", "0.7", "20.5"), ("0.001", "30", "128"), ("0.3", "5", "1023.5"),
                            ("0.01", "4", "17"), ("0.999", "1", "2.5"), ("1e-5", "1000", "1.01")]:
        out["sampled_gaussian_rdp"].append({"q": float(q), "sigma": float(sigma), "order": float(order), "rdp": text(rdp(float(q), float(sigma), float(order)))})
    for sigma, count, delta in [(0.3, 1, 1e-5), (0.3, 1000000, 1e-30), (1.0, 1, 1e-30), (1000.0, 1, 1e-5), (1000.0, 1000000, 1e-10), (50.0, 1, 1e-3), (7.0, 12345, 1e-12), (500.0, 3, 1e-6),
                                (2.0, 1, 0.1), (1000.0, 1, 1e-30)]:
        out["gaussian"].append({"sigma": sigma, "count": count, "delta": delta, "epsilon": text(gaussian_epsilon(sigma, count, delta))})
    for loss, count, delta in [(0.1, 100, 1e-6), (0.05, 1000, 1e-6), (0.5, 20, 1e-5), (0.01, 3000, 1e-30), (1.0, 1, 1e-5), (2.0, 50, 1e-12)]:
        out["binomial"].append({"loss": loss, "count": count, "delta": delta, "epsilon": text(binomial_epsilon(loss, count, delta))})
    pathlib.Path(__file__).with_name("accountants_mpmath.json").write_text(json.dumps(out, indent=1) + "\n")


if __name__ == "__main__":
    main()
