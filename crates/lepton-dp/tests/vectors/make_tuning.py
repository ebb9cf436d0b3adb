#!/usr/bin/env python3
"""Writes tuning.json: the best of a random number of trials. Needs mpmath and dp-accounting 0.6.0.

`exact`: Rényi divergences of the largest of K draws of Gaussian noise of the given sigma around 0 or 1 (both directions, the larger), integrated at 30 digits from the
density f'(F(y)) p(y), f being the generating function of K; K = 0 counts as one more outcome. `peer`: epsilons of dp-accounting for the best of K runs of DP-SGD.
"""
import json
import math
import pathlib

import mpmath as mp
from dp_accounting import dp_event as ev
from dp_accounting import rdp

mp.mp.dps = 30
POISSON = "poisson"


def gamma_of(shape, mean):
    """The parameter with which a truncated negative binomial number has this mean."""
    expected = lambda g: (1 / g - 1) / mp.log(1 / g) if shape == 0 else shape * (1 - g) / (g * (1 - g ** mp.mpf(shape)))
    low, high = mp.mpf(10) ** -40, mp.mpf(1) - mp.mpf(10) ** -12
    for _ in range(200):
        middle = mp.sqrt(low * high)
        low, high = (middle, high) if expected(middle) > mean else (low, middle)
    return low


def slope(shape, mean):
    """f', the derivative of the generating function."""
    if shape == POISSON:
        return lambda x: mean * mp.exp(mean * (x - 1))
    g = gamma_of(shape, mean)
    return lambda x: mean * (g / (1 - (1 - g) * x)) ** (shape + 1)


def divergence(sigma, shape, mean, order):
    d, none = slope(shape, mean), mp.exp(-mp.mpf(mean)) if shape == POISSON else 0

    def density(y, centre):
        x = (y - centre) / sigma
        return d(mp.ncdf(x)) * mp.npdf(x) / sigma

    def one(a, b):
        inside = lambda y: mp.exp(order * mp.log(density(y, a)) + (1 - order) * mp.log(density(y, b)))
        points = [sigma * k for k in range(-14, 15, 2)]
        points = [-40 * sigma] + points + [order + 14 * sigma, order + 40 * sigma]
        return mp.log(none + mp.quad(inside, sorted(set(points)))) / (order - 1)

    return max(one(0, 1), one(1, 0))


def peer(shape, mean):
    run = ev.SelfComposedDpEvent(ev.PoissonSampledDpEvent(0.01, ev.GaussianDpEvent(1.0)), 1000)
    accountant = rdp.RdpAccountant()
    accountant.compose(ev.RepeatAndSelectDpEvent(run, mean, math.inf if shape == POISSON else shape))
    return accountant.get_epsilon(1e-5)


exact = [
    {"sigma": s, "shape": k, "mean": m, "order": a, "rdp": mp.nstr(divergence(s, k, m, a), 20)}
    for s in (1.0, 4.0)
    for k, m in ((0, 5), (1, 10), (2.5, 3), (-0.5, 20), (1, 1.01), (POISSON, 10), (POISSON, 0.1))
    for a in (1.5, 2, 8)
]
peers = [
    {"shape": k, "mean": m, "epsilon": peer(k, m)}
    for k, m in ((0.0, 20.0), (0.5, 10.0), (1.0, 10.0), (1.0, 100.0), (3.0, 5.0), (POISSON, 10.0), (POISSON, 50.0))
]
path = pathlib.Path(__file__).with_name("tuning.json")
path.write_text(json.dumps({"exact": exact, "peer": peers}, indent=1) + "\n")
