"""What the package's mechanisms and accountants claim, against closed forms. Statistical tests alarm falsely with a chance of at most 1e-6 each."""

import enum
import math
import os
import warnings

import numpy as np
import pytest

if os.environ.get("CI") != "true":
    pytest.importorskip("lepton_ai")
from lepton_ai import accounting as ac
from lepton_ai import mechanisms
from lepton_ai.differential_privacy import DP
from lepton_ai.errors import PrivacyWarning, UsageError

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


def test_replacing_a_record_costs_zcdp_four_times():
    # Twice the distance: rho = (2 / sigma)^2 / 2, and for Laplace noise (2 / scale)^2 / 2.
    for event in (ac.GaussianDpEvent(3.0), ac.LaplaceDpEvent(3.0), ac.DiscreteGaussianDpEvent(3.0)):
        one, other = (ac.ZcdpAccountant(relation).compose(event, 7) for relation in ac.NeighboringRelation)
        assert math.isclose(one.rho, 7 / 18, rel_tol=1e-12) and one.rho >= 7 / 18
        assert math.isclose(other.rho, 4 * one.rho, rel_tol=1e-12)
        assert other.get_epsilon(1e-6) > 1.9 * one.get_epsilon(1e-6)


@pytest.mark.parametrize("kind", [ac.PLDAccountant, ac.RdpAccountant, ac.ZcdpAccountant])
def test_the_neighbouring_relation_is_understood_or_refused(kind):
    theirs = enum.Enum("NeighboringRelation", ["ADD_OR_REMOVE_ONE", "REPLACE_ONE", "REPLACE_SPECIAL"])
    found = [
        kind(relation).compose(ac.GaussianDpEvent(2.0)).get_epsilon(1e-6)
        for relation in (ac.NeighboringRelation.REPLACE_ONE, "replace-one", "REPLACE_ONE", theirs.REPLACE_ONE)
    ]
    assert found == [found[0]] * 4
    adding = [kind(*relation).compose(ac.GaussianDpEvent(2.0)).get_epsilon(1e-6) for relation in ((), ("add-remove",), (theirs.ADD_OR_REMOVE_ONE,))]
    assert adding == [adding[0]] * 3 and adding[0] < found[0]
    for relation in ("replace", "", None, 2, theirs.REPLACE_SPECIAL, True):
        with pytest.raises(UsageError, match="neighbouring relation"):
            kind(relation)


def test_counts_and_noise_that_make_no_sense_are_refused():
    gauss = ac.GaussianDpEvent(2.0)
    assert ac.RdpAccountant().compose(gauss, np.int64(3)).get_epsilon(1e-5) == ac.RdpAccountant().compose(ac.SelfComposedDpEvent(gauss, 3.0)).get_epsilon(1e-5)
    for count in (2.9, True, np.True_, 0, -1, "3", None, math.inf, math.nan):
        for refused in (
            lambda count=count: ac.RdpAccountant().compose(gauss, count),
            lambda count=count: ac.ZcdpAccountant().compose(ac.SelfComposedDpEvent(gauss, count)),
            lambda count=count: ac.gaussian_noise_multiplier(1.0, 1e-5, releases=count),
        ):
            with pytest.raises(UsageError, match="whole number"):
                refused()
    for noise in (0.0, -1.0, math.inf, math.nan, None):
        for event in (ac.GaussianDpEvent, ac.LaplaceDpEvent, ac.DiscreteGaussianDpEvent, ac.DiscreteLaplaceDpEvent):
            with pytest.raises(UsageError, match="above 0"):
                ac.ZcdpAccountant().compose(event(noise))
        with pytest.raises(UsageError, match="tol"):
            ac.calibrate_dp_mechanism(ac.RdpAccountant, ac.GaussianDpEvent, 1.0, 1e-5, tol=noise)
    for sensitivity in (0, 1.5, -1, math.inf):
        with pytest.raises(UsageError, match="sensitivity"):
            ac.ZcdpAccountant().compose(ac.DiscreteGaussianDpEvent(1.0, sensitivity))
    least = ac.calibrate_dp_mechanism(ac.RdpAccountant, ac.GaussianDpEvent, 1.0, 1e-5, tol=1e-300)
    assert ac.RdpAccountant().compose(ac.GaussianDpEvent(least)).get_epsilon(1e-5) <= 1.0


def test_mechanisms_refuse_what_they_would_have_to_guess():
    for sensitivity in (math.inf, math.nan, 0, 1.5, True, "1"):
        with pytest.raises(UsageError, match="l1_sensitivity"):
            mechanisms.discrete_laplace(1, l1_sensitivity=sensitivity, epsilon=1.0)
    for epsilon in (math.inf, math.nan, 0.0, -1.0, "1"):
        for refused in (
            lambda epsilon=epsilon: mechanisms.laplace(1.0, l1_sensitivity=1.0, epsilon=epsilon),
            lambda epsilon=epsilon: mechanisms.gaussian(1.0, l2_sensitivity=epsilon, noise_multiplier=1.0),
            lambda epsilon=epsilon: mechanisms.randomised_response([1], categories=2, epsilon=epsilon),
        ):
            with pytest.raises(UsageError, match="above 0"):
                refused()
    for refused in (
        lambda: mechanisms.randomised_response([1], categories=2.5, epsilon=1.0),
        lambda: mechanisms.response_shares([1.5, 2], epsilon=1.0),
        lambda: mechanisms.laplace(1.0, l1_sensitivity=1.0, epsilon=1.0, bits=2.5),
    ):
        with pytest.raises(UsageError, match="whole number"):
            refused()


def test_real_numbers_are_clamped_where_it_says():
    # Noise of scale 1 and a few steps: beyond 1000 with a chance of e^-999.
    assert abs(mechanisms.laplace(1e300, l1_sensitivity=1.0, epsilon=1.0) - 2.0**42) < 1000


def test_a_warning_that_was_made_an_error_is_not_taken_as_said():
    from lepton_ai._once import warn_once

    for _ in range(2):
        with warnings.catch_warnings(), pytest.raises(PrivacyWarning):
            warnings.simplefilter("error")
            warn_once("said to nobody")
    with pytest.warns(PrivacyWarning, match="said to nobody"):
        warn_once("said to nobody")
