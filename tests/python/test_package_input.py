"""Bad input to the Python package: a clear exception of its own kind, no crash, nothing half-done."""

import os

import numpy as np
import pytest

if os.environ.get("CI") != "true":
    pytest.importorskip("lepton_ai")
import lepton_ai
from lepton_ai import _native, accounting, mechanisms
from lepton_ai.differential_privacy import DP
from lepton_ai.errors import DataError, EnvelopeError, JobError, LeptonError, StorageError, UsageError
from lepton_ai.federated_learning import FL
from lepton_ai.secure_multi_party_computation import SMPC

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize("bad", [[[1.0, NAN], [1, 2]], [[INF, 0], [0, 0]], [[1], [2, 3]], [1, 2, 3], "text", [["a"], ["b"]], [[1j], [2j]], [[1e300], [1]], [[2**60], [1]], [[1.0]]])
def test_sums_refuse_what_is_no_table_of_numbers(bad):
    with pytest.raises((DataError, UsageError)):
        lepton_ai.masked_sum(bad)


@pytest.mark.parametrize("parties", [1, 0, -1, 2.5, True, "3", 9])
def test_federations_have_two_parties_and_a_row_for_each(parties):
    for call in (FL().federated_learning, SMPC().secure_multi_party_computation):
        with pytest.raises(DataError):
            call([1, 2, 3], [1, 2, 3], parties)


def test_shapes_that_do_not_fit():
    with pytest.raises(DataError, match="agree"):
        FL().federated_learning([1, 2, 3], [1, 2], 2)
    with pytest.raises(DataError, match="fit the model"):
        lepton_ai.FederatedLearning([[0.1, 0.2]]).update_model(([[1.0], [2.0], [3.0]], [1, 2, 3]))
    with pytest.raises(DataError):
        lepton_ai.FederatedLearning("weights")
    with pytest.raises(UsageError):
        lepton_ai.DistributedComputation(3)
    with pytest.raises(DataError):
        lepton_ai.DistributedComputation(len).compute(3)


def test_layouts_of_arrays_are_all_the_same():
    rows = np.arange(24, dtype=np.float64).reshape(4, 6)
    wanted = lepton_ai.masked_sum(rows[:, ::2].copy())
    frozen = rows[:, ::2]
    frozen.flags.writeable = False
    for same in (rows[:, ::2], np.asfortranarray(rows[:, ::2]), frozen, rows[:, ::2].astype(">f8"), rows[:, ::2].astype(np.float32), rows[:, ::2].astype(np.int8)):
        assert (lepton_ai.masked_sum(same) == wanted).all()
    assert (lepton_ai.masked_sum(rows[::-1, ::2]) == wanted).all()


def test_the_native_half_refuses_other_arrays_too():
    for bad in (np.zeros(3), np.zeros((2, 2), np.float32), [[1.0]], None):
        with pytest.raises(TypeError):
            _native.masked_sum(bad)
    with pytest.raises(OverflowError):
        _native.discrete_laplace(np.zeros(1, np.int64), -1, 1.0)
    with pytest.raises(DataError):
        _native.masked_sum(np.array([[NAN], [1.0]]))


@pytest.mark.parametrize("epsilon", [0, -1, NAN, INF, "a", None])
def test_no_mechanism_takes_such_an_epsilon(epsilon):
    calls = [
        lambda: mechanisms.laplace(1.0, l1_sensitivity=1, epsilon=epsilon),
        lambda: mechanisms.discrete_laplace(1, l1_sensitivity=1, epsilon=epsilon),
        lambda: mechanisms.randomised_response([0], categories=2, epsilon=epsilon),
        lambda: DP(0, 1).add_laplace_noise([1], epsilon),
    ]
    for call in calls:
        with pytest.raises(UsageError):
            call()


def test_mechanisms_want_a_sensitivity_and_finite_values():
    with pytest.raises(TypeError):
        mechanisms.laplace([1.0], epsilon=1.0)
    for sensitivity in (0, -1, NAN, INF):
        with pytest.raises(UsageError):
            mechanisms.laplace([1.0], l1_sensitivity=sensitivity, epsilon=1.0)
        with pytest.raises(UsageError):
            mechanisms.gaussian([1.0], l2_sensitivity=sensitivity, noise_multiplier=1.0)
    for bad in ([NAN], [INF], ["a"]):
        with pytest.raises(DataError):
            mechanisms.laplace(bad, l1_sensitivity=1, epsilon=1.0)
    with pytest.raises(DataError):
        mechanisms.discrete_laplace([1.5], l1_sensitivity=1, epsilon=1.0)
    with pytest.raises(UsageError):
        mechanisms.discrete_laplace([1], l1_sensitivity=0.5, epsilon=1.0)
    with pytest.raises(DataError):
        mechanisms.randomised_response([3], categories=3, epsilon=1.0)
    with pytest.raises(UsageError):
        DP(5, 5)


def test_accountants_refuse_what_they_do_not_cover():
    with pytest.raises(UsageError):
        accounting.RdpAccountant().compose(accounting.GaussianDpEvent(1.0), 0)
    with pytest.raises(UsageError):
        accounting.RdpAccountant().compose(object())
    with pytest.raises(LeptonError):
        accounting.RdpAccountant().compose(accounting.GaussianDpEvent(-1.0)).get_epsilon(1e-5)
    twice = accounting.SelfComposedDpEvent(accounting.GaussianDpEvent(1.0), 2)
    with pytest.raises(UsageError, match="Poisson"):
        accounting.PLDAccountant().compose(accounting.PoissonSampledDpEvent(0.1, twice))
    with pytest.raises(UsageError):
        accounting.ZcdpAccountant().compose(accounting.PoissonSampledDpEvent(0.1, accounting.GaussianDpEvent(1.0)))
    for delta in (-1, 2, NAN):
        with pytest.raises(UsageError):
            accounting.PLDAccountant().compose(accounting.GaussianDpEvent(1.0)).get_epsilon(delta)


def test_tables_that_are_none(tmp_path):
    job = {"job": {"name": "x", "task": "train"}, "data": {"table": "t", "label": "y", "split": {"by": "even", "parties": 2}}, "model": {"kind": "linear"}, "training": {"rounds": 1}}
    rows = {"a": [1.0] * 20, "y": [1.0, 2.0] * 10}
    for bad, match in [
        ({"a": [1.0, 2.0], "y": [1.0]}, "length"),
        ({}, "without columns"),
        (np.zeros(3), "rows and columns"),
        ({**rows, "a": [INF] * 20}, "a"),
        ({**rows, "a": [b"x"] * 20}, "bytes"),
        ({**rows, "a": [2**60] * 20}, "2\\*\\*53"),
        ({"b": rows["a"], "a": rows["a"]}, "y"),
    ]:
        with pytest.raises((DataError, JobError), match=match):
            lepton_ai.run(job, data=bad, runs=tmp_path, quiet=True)
    assert not any(tmp_path.iterdir())
    with pytest.raises(LeptonError, match="rows do not fit"):
        lepton_ai.run(job, data={**rows, "y": ["u"] * 20}, runs=tmp_path, quiet=True)
    with pytest.raises(StorageError):
        lepton_ai.run(tmp_path / "absent.toml")
    with pytest.raises(JobError, match="training"):
        lepton_ai.run({**job, "trainign": {}}, data=rows, runs=tmp_path)
    for wrong in ({}, {"job": job, "resume": tmp_path}, {"job": 3}, {"job": job, "data": rows, "party_data": [rows]}, {"job": {"job": {"name": object()}}}):
        with pytest.raises(UsageError):
            lepton_ai.run(**wrong)


def test_a_broken_arrow_stream_is_an_exception(tmp_path):
    class Nonsense:
        def __arrow_c_stream__(self, requested_schema=None):
            return 3

    class Raising:
        def __arrow_c_stream__(self, requested_schema=None):
            raise LookupError("not now")

    job = {"job": {"name": "x", "task": "train"}}
    with pytest.raises(TypeError):
        lepton_ai.run(job, data=Nonsense(), runs=tmp_path)
    with pytest.raises(LookupError, match="not now"):
        lepton_ai.run(job, data=Raising(), runs=tmp_path)


def test_an_arrow_stream_is_taken_once(tmp_path):
    import pyarrow as pa

    capsule = pa.table({"a": [1.0]}).__arrow_c_stream__()
    _native.write_stream(tmp_path / "one.arrow", capsule)
    with pytest.raises(LeptonError):
        _native.write_stream(tmp_path / "two.arrow", capsule)
    assert (tmp_path / "one.arrow").stat().st_mode & 0o777 == 0o600


def test_envelopes_refuse(tmp_path):
    for wrong in ({}, {"passphrase": "x" * 12, "recipients": ["k"]}):
        with pytest.raises(UsageError):
            lepton_ai.encrypt("x", **wrong)
    with pytest.raises(UsageError, match="bytes or a text"):
        lepton_ai.encrypt([1, 2], passphrase="correct horse battery")
    with pytest.raises((UsageError, EnvelopeError)):
        lepton_ai.encrypt("x", recipients=["no key"])
    for token in ("", "a.b.c.d.e", "é" * 10, b"\xff"):
        with pytest.raises(EnvelopeError):
            lepton_ai.decrypt(token, passphrase="correct horse battery")
    with pytest.raises(UsageError, match="kind of key"):
        lepton_ai.generate_key("rsa1024")
    with pytest.raises(UsageError):
        lepton_ai.Encryptor("")
    with pytest.raises(UsageError):
        lepton_ai.Model.load(tmp_path)


def test_the_client_refuses():
    client = lepton_ai.LeptonClient()
    for x, y in [([[1.0, NAN]] * 20, [0, 1] * 10), ([[1.0]] * 20, [0, 1] * 9), ([[1.0]] * 20, [1] * 20), ([1.0] * 20, [0, 1] * 10), ([[1.0]] * 20, [0, None] * 10)]:
        with pytest.raises(DataError):
            client.preprocess_data(x, y)
    client.preprocess_data([[float(row)] for row in range(40)], [row / 7 for row in range(40)]).add_differential_privacy_noise()
    with pytest.raises(UsageError, match="target_bounds"):
        client.federated_learning()
