"""The estimators, held by scikit-learn's own checks and against its own models."""

import os
import pickle
import warnings

import numpy as np
import pytest

if os.environ.get("CI") != "true":
    pytest.importorskip("lepton_ai")
from lepton_ai import LeptonClient, _once
from lepton_ai.errors import DataError, PrivacyWarning, UsageError
from lepton_ai.sklearn import DPLogisticRegression, DPStandardScaler, FederatedLinearRegression, FederatedLogisticRegression
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

NOISE = "each fit draws fresh noise, as it must"
NOISY = dict.fromkeys(
    ["check_fit_idempotent", "check_classifier_data_not_an_array", "check_supervised_y_2d", "check_transformer_data_not_an_array", "check_transformer_general"],
    NOISE,
)


@pytest.mark.parametrize(
    ("estimator", "exceptions"),
    [
        (FederatedLinearRegression(), {}),
        (FederatedLogisticRegression(rounds=8), {}),
        (DPLogisticRegression(bounds=(-10, 10), epsilon=10.0, rounds=3), NOISY),
        (DPStandardScaler(bounds=(-100, 100), epsilon=100.0), NOISY),
    ],
    ids=lambda value: type(value).__name__,
)
def test_scikit_learns_own_checks(estimator, exceptions):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check_estimator(estimator, expected_failed_checks=exceptions, on_skip=None)


def test_the_linear_fit_is_that_of_pooled_rows():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(300, 5)) * [1, 10, 0.1, 3, 2] + 4
    y = x @ [1, 0.5, -7, 0, 2] + rng.normal(size=300)
    ours, theirs = FederatedLinearRegression(parties=7).fit(x, y), LinearRegression().fit(x, y)
    assert np.allclose(ours.coef_, theirs.coef_, atol=1e-5) and np.isclose(ours.intercept_, theirs.intercept_, atol=1e-4)


def test_classifiers_learn_and_can_be_kept():
    x, y = load_iris(return_X_y=True)
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    fitted = FederatedLogisticRegression().fit(x, names)
    assert fitted.score(x, names) > 0.9 and fitted.predict_proba(x).shape == (150, 3)
    assert (pickle.loads(pickle.dumps(fitted)).predict(x) == fitted.predict(x)).all()
    x, y = load_breast_cancer(return_X_y=True)
    assert cross_val_score(make_pipeline(StandardScaler(), FederatedLogisticRegression(rounds=10)), x, y, cv=3).mean() > 0.93


def test_private_estimators_want_bounds_and_say_what_was_spent():
    x, y = load_breast_cancer(return_X_y=True)
    for estimator in (DPLogisticRegression(), DPStandardScaler()):
        with pytest.raises(UsageError, match="compulsory"):
            estimator.fit(x, y)
    with pytest.raises(DataError, match="low below high"):
        DPStandardScaler(bounds=(1, 0)).fit(x)
    fitted = DPLogisticRegression(epsilon=5.0, bounds=(0, 1), rounds=5).fit(x[:, 4:10], y)
    spent = fitted.report_["privacy"]
    assert 0 < spent["epsilon"] <= spent["epsilon_coordinator"] <= 5.0
    scaler = DPStandardScaler(epsilon=1e6, bounds=(0, 5000)).fit(x)
    # At such an epsilon the noise is far below what is asked here.
    assert np.allclose(scaler.mean_, x.mean(axis=0), atol=1.0)
    assert np.allclose(scaler.inverse_transform(scaler.transform(x)), x)


def test_private_training_deals_each_row_by_itself():
    estimator = DPLogisticRegression(bounds=(0, 1))
    estimator.classes_ = np.array([0, 1])
    assert estimator._job(2)["data"]["split"]["by"] == "hash"
    client = LeptonClient(bounds=[[0, 1]], classes=[0, 1]).preprocess_data(np.zeros((30, 1)), np.arange(30) % 2)
    assert client._job()["data"]["split"]["by"] == "even"
    assert client.add_differential_privacy_noise()._job()["data"]["split"]["by"] == "hash"
    # Two kinds of rows alone: a party has none, and nothing tells.
    x, y = np.repeat([[0.2], [0.8]], 40, axis=0), np.repeat([0, 1], 40)
    fitted = DPLogisticRegression(epsilon=50.0, bounds=(0, 1), classes=[0, 1], rounds=2).fit(x, y)
    assert len(fitted.report_["parties"]) == 3


def test_a_private_estimator_keeps_what_was_released_and_nothing_else():
    x, y = load_breast_cancer(return_X_y=True)
    fitted = DPLogisticRegression(epsilon=5.0, bounds=(0, 1), classes=[0, 1], rounds=5).fit(x[:, 4:10], y)
    report = fitted.report_
    assert report["data"]["noised"] and not {"baselines", "importance", "scatter", "timing"} & set(report)
    assert all(set(party) <= {"name", "sums_joined", "sums_missed"} for party in report["parties"]) and len(report["parties"]) == 3
    kept = pickle.dumps(fitted)
    assert not [word for word in (b"baseline", b"importance", b"scatter", b"rows_sha256", b"party-1.pem") if word in kept]
    # Exact counts are whole; those of a party are nowhere.
    assert kept.count(b"rows_train") == 1 and report["data"]["rows_train"] != round(report["data"]["rows_train"])
    assert (pickle.loads(kept).predict_proba(x[:, 4:10]) == fitted.predict_proba(x[:, 4:10])).all()


def test_classes_are_public_or_a_warning_says_that_they_are_not_protected():
    x, y = load_breast_cancer(return_X_y=True)
    names = np.array(["sick", "well"])[y]
    made = DPLogisticRegression(epsilon=5.0, bounds=(0, 1), rounds=2)
    _once._said.clear()
    with pytest.warns(PrivacyWarning, match="not protected"):
        made.fit(x[:, 4:10], names)
    with warnings.catch_warnings():
        warnings.simplefilter("error", PrivacyWarning)
        fitted = made.set_params(classes=["well", "sick", "unheard of"]).fit(x[:, 4:10], names)
    # A class that nobody has is learnt as one: nothing tells that nobody has it.
    assert fitted.classes_.tolist() == ["sick", "unheard of", "well"] and fitted.predict_proba(x[:, 4:10]).shape == (569, 3)
    with pytest.raises(DataError, match="not in the list") as refused:
        made.set_params(classes=["well", "ill"]).fit(x[:, 4:10], names)
    assert "sick" not in str(refused.value)
    with pytest.raises(UsageError, match="two different"):
        made.set_params(classes=["well", "well"]).fit(x[:, 4:10], names)


def test_the_scaler_adds_up_whole_steps_within_its_stated_sensitivity(monkeypatch):
    from lepton_ai import mechanisms

    asked = []

    def exact(values, *, l1_sensitivity, epsilon):
        asked.append((np.array(values), l1_sensitivity))
        return values

    monkeypatch.setattr(mechanisms, "discrete_laplace", exact)
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(200, 3)) * [1, 1e3, 1e-3]
    # The most that a record can be: at an end in every feature, and far beyond.
    rows[-1] = [1e300, -1e300, 5]
    bounds = [(-1, 1), (-5e3, 1e4), (-1e-3, 1e-3)]
    for count in (200, 199):
        scaler = DPStandardScaler(bounds=bounds).fit(rows[:count])
    (more, most), (fewer, _) = asked
    assert more.dtype == np.int64 and most == 2**20 * 7 and np.abs(more - fewer).sum() == most
    clipped = rows[:199].clip(*np.transpose(bounds))
    assert np.allclose(scaler.mean_, clipped.mean(axis=0), atol=1e-2, rtol=1e-4) and np.allclose(scaler.scale_, clipped.std(axis=0), rtol=1e-3)
    with pytest.raises(DataError, match="floating point"):
        DPStandardScaler(bounds=(-1.7e308, 1.7e308)).fit(rows)
