"""What the package's mechanisms and accountants claim, against closed forms. Statistical tests alarm falsely with a chance of at most 1e-6 each."""

import math
import os

import numpy as np
import pytest

if os.environ.get("CI") != "true":
    pytest.importorskip("lepton_ai")
from lepton_ai import accounting as ac
from lepton_ai import mechanisms
from lepton_ai.differential_privacy import DP

DRAWS = 200_000


def within(mean, wanted, variance):
    """Six standard deviations of a mean of DRAWS draws: 2e-9 by the normal law, to which these means are close."""
    assert abs(mean - wanted) <= 6 * math.sqrt(variance / DRAWS)


def test_laplace_has_the_stated_scale():
    noise = mechanisms.laplace(np.full(DRAWS, 7.0), l1_sensitivity=DRAWS * 1.5, epsilon=float(DRAWS)) - 7.0
    # All of it is one release of DRAWS coordinates; rounding to the grid adds DRAWS - 1 steps to its sensitivity.
    scale = 1.5 + 2.0**-20
    within(noise.mean(), 0, 2 * scale**2)
    # E|X| = b, var|X| = b^2.
    within(np.abs(noise).mean(), scale, scale**2)
    assert (noise * 2**20 == np.round(noise * 2**20)).all()


def test_gaussian_and_discrete_noise_have_the_stated_spread():
    noise = mechanisms.gaussian(np.zeros(DRAWS), l2_sensitivity=1000.0, noise_multiplier=0.003)
    # Rounding DRAWS coordinates to the grid moves them by at most half a step each.
    sigma = 3.0
    within(noise.mean(), 0, sigma**2)
    within(np.square(noise).mean(), sigma**2, 2 * sigma**4)
    whole = mechanisms.discrete_gaussian(np.zeros(DRAWS, int), l2_sensitivity=1.0, noise_multiplier=4.0)
    within(np.square(whole).mean(), 16.0, 2 * 16.0**2)
    whole = mechanisms.discrete_laplace(np.zeros(DRAWS, int), l1_sensitivity=1, epsilon=0.5)
    # Discrete Laplace of scale 2: variance 1 / (2 sinh^2(1/4)); its fourth moment is below 25 of its variance squared.
    variance = 0.5 / math.sinh(0.25) ** 2
    within(np.square(whole).mean(), variance, 25 * variance**2)


def test_randomised_response_tells_the_truth_as_often_as_stated():
    epsilon, categories = 1.0, 4
    answers = mechanisms.randomised_response(np.full(DRAWS, 2), categories=categories, epsilon=epsilon)
    truth = math.exp(epsilon) / (math.exp(epsilon) + categories - 1)
    within((answers == 2).mean(), truth, truth * (1 - truth))
    shares = mechanisms.response_shares(np.bincount(answers, minlength=categories), epsilon=epsilon)
    assert abs(shares[2][0] - 1) <= 6 * shares[2][1] + 1e-3


def test_single_values_are_moved_into_their_bounds_before_the_noise():
    # With epsilon 1000 the noise is of scale 0.01: further than 0.3 from the bound with a chance of 1e-13.
    assert np.allclose(DP(0, 10).add_laplace_noise([-1e9, 5.0, 1e9], 1000.0), [0, 5, 10], atol=0.3)
    # Scale (upper - lower) / epsilon = 20 for each value.
    noise = np.array(DP(0, 10).add_laplace_noise(np.full(2000, 5.0), 0.5)) - 5
    assert abs(np.abs(noise).mean() - 20) <= 6 * 20 / math.sqrt(2000)


def gaussian_delta(sigma, epsilon):
    """Balle and Wang 2018, theorem 8."""
    phi = lambda x: 0.5 * math.erfc(-x / math.sqrt(2))  # noqa: E731
    return phi(0.5 / sigma - epsilon * sigma) - math.exp(epsilon) * phi(-0.5 / sigma - epsilon * sigma)


@pytest.mark.parametrize(("sigma", "count"), [(1.0, 1), (5.0, 10), (20.0, 400)])
def test_accountants_are_above_the_truth_and_near_it(sigma, count):
    event = ac.SelfComposedDpEvent(ac.GaussianDpEvent(sigma), count)
    alone = sigma / math.sqrt(count)
    pld, rdp, zcdp = (kind().compose(event).get_epsilon(1e-6) for kind in (ac.PLDAccountant, ac.RdpAccountant, ac.ZcdpAccountant))
    assert gaussian_delta(alone, pld) <= 1e-6 < gaussian_delta(alone, pld * 0.99)
    assert pld <= rdp <= pld * 1.3 and pld <= zcdp <= pld * 1.3
    assert ac.PLDAccountant().compose(event).get_delta(pld) <= 1e-6 * 1.01


def test_events_compose_as_they_should():
    gauss = ac.GaussianDpEvent(2.0)
    sampled = ac.PoissonSampledDpEvent(0.01, gauss)
    one = ac.RdpAccountant().compose(ac.ComposedDpEvent([ac.SelfComposedDpEvent(sampled, 100), ac.NoOpDpEvent()]), 3)
    other = ac.RdpAccountant().compose(sampled, 300)
    assert one.get_epsilon(1e-5) == other.get_epsilon(1e-5) < ac.RdpAccountant().compose(gauss, 300).get_epsilon(1e-5)
    assert ac.RdpAccountant().get_epsilon(1e-5) == 0 == ac.PLDAccountant().compose(ac.NoOpDpEvent()).get_delta(1.0)
    laplace = ac.PLDAccountant().compose(ac.LaplaceDpEvent(2.0))
    assert 0.5 * 0.99 <= laplace.get_epsilon(0.0 + 1e-12) <= 0.5 * 1.001
    replace = ac.PLDAccountant(ac.NeighboringRelation.REPLACE_ONE).compose(ac.LaplaceDpEvent(2.0))
    assert replace.get_epsilon(1e-12) > 0.9


def test_known_answer_of_an_independent_accountant():
    # dp-accounting 0.6.0: DP-SGD with sampling 0.01, noise multiplier 1, 1000 steps, delta 1e-5, add or remove: PLD 1.8282, RDP 2.1014.
    event = ac.PoissonSampledDpEvent(0.01, ac.GaussianDpEvent(1.0))
    assert abs(ac.PLDAccountant().compose(event, 1000).get_epsilon(1e-5) - 1.8282) < 0.002
    assert abs(ac.RdpAccountant().compose(event, 1000).get_epsilon(1e-5) - 2.1014) < 0.002


def test_calibration_is_the_least_noise_that_meets_the_goal():
    for kind in (ac.PLDAccountant, ac.RdpAccountant):
        found = ac.calibrate_dp_mechanism(kind, ac.GaussianDpEvent, 1.0, 1e-5)
        assert kind().compose(ac.GaussianDpEvent(found)).get_epsilon(1e-5) <= 1.0
        assert kind().compose(ac.GaussianDpEvent(found * 0.9999)).get_epsilon(1e-5) > 1.0
    least = ac.gaussian_noise_multiplier(1.0, 1e-5, releases=4)
    assert ac.RdpAccountant().compose(ac.GaussianDpEvent(least), 4).get_epsilon(1e-5) <= 1.0
