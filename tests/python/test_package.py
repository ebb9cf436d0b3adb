"""The Python package as a user has it: installed from its wheel."""

import csv
import doctest
import importlib
import os
import pathlib
import pkgutil
import shutil
import signal
import subprocess
import sys
import threading
import time
import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

lepton_ai = pytest.importorskip("lepton_ai") if os.environ.get("CI") != "true" else importlib.import_module("lepton_ai")

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
JOB = ROOT / "examples" / "breast_cancer" / "job.toml"
TABLE = ROOT / "data" / "breast_cancer.csv"
SEEDS = pathlib.Path(__file__).parent / "seed_programs"
FEW = {"training.rounds": 3, "evaluation.every": 1}


def python(*words, cwd, **more):
    environment = {**os.environ, "MPLBACKEND": "Agg", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, *map(str, words)], cwd=cwd, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == more.get("code", 0), done.stderr
    return done


def customer_data(folder):
    """Numeric features, the class last, from a committed table."""
    frame = pd.read_csv(TABLE)
    frame["class"] = (frame.pop("diagnosis") == "malignant").astype(int)
    frame.to_csv(folder / "customer_data.csv", index=False)
    return frame


def test_s0_runs_as_it_stands(tmp_path):
    done = python(SEEDS / "s0_basic.py", cwd=tmp_path)
    encrypted, model, result = done.stdout.splitlines()
    token = encrypted.removeprefix("Encrypted Data: ")
    assert lepton_ai.decrypt(token, passphrase="123456") == b"Hello, World!"
    assert (model, result) == ("Updated Model: [[0.1, 0.2]]", "Result: [3, 7, 11]")
    assert done.stderr.count("PrivacyWarning") == 3


def test_s1_runs_as_it_stands(tmp_path):
    customer_data(tmp_path)
    done = python("-W", "ignore", SEEDS / "s1_customer_classification.py", cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("", "")


def test_s4_runs_as_it_stands(tmp_path):
    done = python(SEEDS / "s4_protection.py", cwd=tmp_path)
    noisy, line, computed = done.stdout.splitlines()
    assert len(noisy.strip("[]").split(",")) == 5
    assert line == "y = 100 x + 0 (5 rows at 3 parties)"
    assert "mean_x=3.0, mean_y=300.0, inner_product=5500.0" in computed
    assert done.stderr.count("PrivacyWarning") == 1


def test_examples_in_docstrings():
    names = [name for _, name, _ in pkgutil.iter_modules(lepton_ai.__path__, "lepton_ai.") if name.rpartition(".")[2] not in ("_native", "__main__", "torch")]
    tried = 0
    for module in [lepton_ai, *map(importlib.import_module, names)]:
        result = doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL)
        assert result.failed == 0, module
        tried += result.attempted
    assert tried >= 20


def test_every_public_name_is_there_and_described():
    for name in lepton_ai.__all__:
        thing = getattr(lepton_ai, name)
        assert name == "__version__" or thing.__doc__, name
    with pytest.raises(AttributeError):
        lepton_ai.homomorphic_encrypt  # noqa: B018 - a name that is kept free
    assert (pathlib.Path(lepton_ai.__file__).parent / "py.typed").is_file()


def test_the_import_is_light(tmp_path):
    code = "import sys, lepton_ai; print([name for name in ('numpy', 'pandas', 'lepton_ai._native') if name in sys.modules])"
    assert python("-c", code, cwd=tmp_path).stdout == "[]\n"


def test_the_command_comes_along(tmp_path, lepton):
    command = pathlib.Path(sys.executable).parent / "lepton"
    version = subprocess.run([command, "--version"], capture_output=True, text=True, check=True).stdout
    assert version == lepton("--version", cwd=tmp_path)
    assert python("-m", "lepton_ai", "run", "absent.toml", cwd=tmp_path, code=1).stderr.startswith("error: ")


def test_one_federation_from_files_frames_arrow_and_arrays(tmp_path):
    frame = pd.read_csv(TABLE)
    columns = {name: frame[name].to_numpy() for name in frame}
    found = []
    for data in (None, TABLE, frame, pa.Table.from_pandas(frame), columns):
        done = lepton_ai.run(JOB, data=data, set=FEW, insecure_seed=5, runs=tmp_path, quiet=True)
        found.append((done.metrics["accuracy"], done.metrics["loss"], done.report["rounds"]))
    assert found == [found[0]] * 5
    assert found[0][0] > 0.9


def test_a_job_is_a_path_a_text_or_a_dict(tmp_path, monkeypatch):
    monkeypatch.chdir(JOB.parent)
    job = {
        "job": {"name": "d", "task": "train"},
        "data": {"table": "../../data/breast_cancer.csv", "label": "diagnosis", "split": {"by": "even", "parties": 3}},
        "model": {"kind": "logistic"},
        "training": {"rounds": 2},
    }
    for given in (JOB, str(JOB), JOB.read_text(), job):
        done = lepton_ai.run(given, set={"training.rounds": 2}, runs=tmp_path, quiet=True)
        assert done.report["rounds"] == 2


def test_a_run_says_what_it_protects(tmp_path):
    private = {**FEW, "privacy.epsilon": 3, "privacy.clip": 4, "training.sampling_rate": 0.5}
    exact = lepton_ai.run(JOB, set=FEW, runs=tmp_path, quiet=True)
    noised = lepton_ai.run(JOB, set=private, runs=tmp_path, quiet=True)
    seeded = lepton_ai.run(JOB, set=private, insecure_seed=1, runs=tmp_path, quiet=True)
    assert "No privacy goal" in exact.statement
    assert "epsilon" in noised.statement and 0 < noised.privacy["epsilon"] <= noised.privacy["epsilon_coordinator"] <= 3
    assert "nothing in this run is protected" in seeded.statement and "is protected with" not in seeded.statement
    html = exact._repr_html_()
    assert "<svg" in html and "No privacy goal" in html and "<script" not in html
    again = lepton_ai.Run.open(exact.folder)
    assert again.report == exact.report and repr(again) == repr(exact)


def test_models_predict_and_can_be_kept(tmp_path, lepton):
    done = lepton_ai.run(JOB, set=FEW, runs=tmp_path, quiet=True)
    frame = pd.read_csv(TABLE)
    found = done.model.save(tmp_path / "kept").predict(frame)
    assert found.probabilities.shape == (569, 2) and np.allclose(found.probabilities.sum(axis=1), 1)
    assert found.metrics["accuracy"] == np.mean(found.values == frame["diagnosis"])
    lepton("predict", "--model", tmp_path / "kept", TABLE, "--out", "p.csv", cwd=tmp_path)
    with (tmp_path / "p.csv").open(newline="") as file:
        assert [row["prediction"] for row in csv.DictReader(file)] == found.values.tolist()
    assert done.model.tensors()["layer0.weight"].shape == (1, 30)
    unlabelled = done.model.predict(frame.drop(columns="diagnosis").iloc[:3])
    assert unlabelled.metrics is None and len(unlabelled) == 3


def test_events_come_in_order_and_can_stop_a_run(tmp_path):
    seen = []
    lepton_ai.run(JOB, set=FEW, runs=tmp_path, on_event=seen.append)
    assert [event["round"] for event in seen if event["event"] == "trained"] == [1, 2, 3]

    def stop(event):
        if event["event"] == "trained":
            raise LookupError("enough")

    with pytest.raises(LookupError, match="enough"):
        lepton_ai.run(JOB, run_dir=tmp_path / "stopped", on_event=stop)
    resumed = lepton_ai.run(resume=tmp_path / "stopped", quiet=True)
    # The round that was under way may be lost with its attempt; none before it is.
    assert resumed.report["rounds_planned"] == 50 and resumed.report["rounds"] >= 49


def test_ctrl_c_stops_a_run(tmp_path):
    code = f"import lepton_ai; lepton_ai.run({str(JOB)!r}, set={{'training.rounds': 1000}}, runs={str(tmp_path)!r})"
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    process.stderr.readline()
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert "KeyboardInterrupt" in error and process.returncode != 0


def test_other_threads_go_on_while_it_runs(tmp_path):
    ticks, over = [], threading.Event()

    def tick():
        while not over.is_set():
            ticks.append(time.monotonic())
            time.sleep(0.001)

    thread = threading.Thread(target=tick)
    thread.start()
    lepton_ai.run(JOB, set={"training.rounds": 30}, runs=tmp_path, quiet=True)
    over.set()
    thread.join()
    assert len(ticks) > 20


def test_runs_in_threads_and_after_a_fork(tmp_path):
    found = []

    def one(number):
        found.append(lepton_ai.run(JOB, set=FEW, insecure_seed=2, run_dir=tmp_path / str(number), quiet=True).metrics["loss"])

    threads = [threading.Thread(target=one, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4 and len(set(found)) == 1
    child = os.fork()
    if child == 0:
        try:
            one("forked")
            os._exit(0 if found[-1] == found[0] else 1)
        finally:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0


def test_budgets_outlive_runs_and_refuse(tmp_path):
    budget = lepton_ai.Budget(tmp_path / "ledger.db")
    shown = budget.set("bc", pd.read_csv(TABLE), epsilon=3.5, delta=1e-5)
    assert shown["blocks"][0]["epsilon"] == 3.5
    private = {**FEW, "privacy.epsilon": 3, "privacy.delta": 1e-6, "privacy.clip": 4, "training.sampling_rate": 0.5}
    lepton_ai.run(JOB, set=private, ledger=budget, runs=tmp_path, quiet=True)
    assert 0 < budget.show()["blocks"][0]["epsilon_so_far"] <= 3
    with pytest.raises(lepton_ai.BudgetError):
        for _ in range(20):
            lepton_ai.run(JOB, set=private, ledger=budget, runs=tmp_path, quiet=True)
    assert budget.verify()["sound"] and issubclass(lepton_ai.BudgetError, lepton_ai.RefusedError)


def test_vaults_are_read_in_place(tmp_path):
    vault = lepton_ai.Vault.create(tmp_path / "v", tmp_path / "root.key")
    vault.seal(TABLE, name="bc")
    assert [table["name"] for table in vault.tables()["tables"]] == ["bc"]
    sealed = lepton_ai.run(JOB, data=vault / "bc", vault_key=vault.key_file, set=FEW, insecure_seed=5, runs=tmp_path, quiet=True)
    plain = lepton_ai.run(JOB, set=FEW, insecure_seed=5, runs=tmp_path, quiet=True)
    assert sealed.metrics == plain.metrics


def test_the_client_in_its_order(tmp_path):
    frame = customer_data(tmp_path)
    x, y = frame.iloc[:, :-1].values, frame.iloc[:, -1].values
    client = lepton_ai.LeptonClient()
    with pytest.raises(lepton_ai.UsageError, match="preprocess_data"):
        client.federated_learning()
    client.preprocess_data(x, y)
    client.encrypt_data()
    assert client._data is None
    with pytest.warns(lepton_ai.PrivacyWarning, match="no privacy goal"):
        client.federated_learning()
    assert np.mean(client.predict(x) == y) > 0.9
    names = np.where(y == 1, "ill", "well")
    client.preprocess_data(x, names).add_differential_privacy_noise(epsilon=4)
    done = client.federated_learning()
    assert 0 < done.privacy["epsilon_coordinator"] <= 4 and done.privacy["delta"] == 1e-6
    token = client.get_model_params()
    assert token.count(".") == 4
    assert client.decrypt_model_params(token)["layer0.weight"].shape == (1, 30)
    with pytest.raises(lepton_ai.EnvelopeError):
        lepton_ai.LeptonClient().decrypt_model_params(token)
    assert set(client.predict(x)) <= {"ill", "well"}


def test_the_client_leaves_what_was_released_and_nothing_else(tmp_path):
    frame = customer_data(tmp_path)
    x, y = frame.iloc[:, :-1].values, frame.iloc[:, -1].values
    client = lepton_ai.LeptonClient(rounds=3, classes=[0, 1])
    done = client.preprocess_data(x, y).add_differential_privacy_noise().federated_learning()
    assert done.report["data"]["noised"] and not {"baselines", "importance", "scatter", "timing"} & set(done.report)
    assert all(set(party) <= {"name", "sums_joined", "sums_missed"} for party in done.report["parties"])
    found = {str(path.relative_to(done.folder)) for path in done.folder.rglob("*") if path.is_file()}
    ledgers = {f"state/parties/{number}/ledger.jsonl" for number in range(3)}
    assert found - {"report.html"} == {"job.toml", "model/model.safetensors", "model/model_card.md", "privacy.json", "report.json"} | ledgers
    for name in found:
        content = (done.folder / name).read_bytes()
        assert not [word for word in (b"rows_sha256", b"baselines", b"loss_increase", b"PRIVATE KEY") if word in content], name
    assert lepton_ai.Run.open(done.folder).report == done.report
    assert "3 parties" in done._repr_html_()
    assert np.array_equal(client.predict(x), client._classes[[int(name[1:]) for name in done.model.predict(client._features(x)).values]])


def test_a_goal_set_after_training_lets_the_unprotected_model_go(tmp_path):
    frame = customer_data(tmp_path)
    x, y = frame.iloc[:, :-1].values, frame.iloc[:, -1].values
    client = lepton_ai.LeptonClient(rounds=2, classes=[0, 1]).preprocess_data(x, y)
    client.federated_learning()
    client.get_model_params()
    client.add_differential_privacy_noise()
    for call in (client.get_model_params, lambda: client.predict(x)):
        with pytest.raises(lepton_ai.UsageError, match="federated_learning"):
            call()
    assert client.federated_learning().privacy["goal_epsilon"] == 3.0


def test_what_the_client_takes_from_y_is_public_or_said_to_be_unprotected(tmp_path):
    from lepton_ai import _once

    frame = customer_data(tmp_path)
    x, y = frame.iloc[:, :-1].values, frame.iloc[:, -1].values
    _once._said.clear()
    client = lepton_ai.LeptonClient(rounds=2).preprocess_data(x, y).add_differential_privacy_noise()
    with pytest.warns(lepton_ai.PrivacyWarning, match="not protected by the privacy goal"):
        done = client.federated_learning()
    assert "Not protected: that y is a class" in done.statement and any("read off y" in note for note in done.report["notes"])
    for given, least in (({"classes": [1, 0, 7]}, 0), ({"target_bounds": (0, 1)}, -100)):
        client = lepton_ai.LeptonClient(rounds=2, **given).preprocess_data(x, y).add_differential_privacy_noise()
        with warnings.catch_warnings():
            warnings.simplefilter("error", lepton_ai.PrivacyWarning)
            done = client.federated_learning()
        assert "Not protected" not in done.statement and (client._classes is None) == ("target_bounds" in given)
        assert client.predict(x).min() >= least
    assert lepton_ai.LeptonClient(classes=[0, 1]).preprocess_data(x, y.astype(object))._data[:, -1].tolist() == y.tolist()
    assert lepton_ai.LeptonClient(target_bounds=(0, 1)).preprocess_data(x, y.astype(object))._classes is None
    with pytest.raises(lepton_ai.DataError, match="not in the list"):
        lepton_ai.LeptonClient(classes=[0, 2]).preprocess_data(x, y)
    with pytest.raises(lepton_ai.UsageError, match="not both"):
        lepton_ai.LeptonClient(classes=[0, 1], target_bounds=(0, 1))


def test_the_classic_calls_learn_where_there_is_something_to_learn():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3))
    y = x @ [1.0, -2.0, 0.5]
    learned = lepton_ai.FederatedLearning(np.zeros(3), "correct horse battery", rounds=400)
    assert np.allclose(learned.update_model((x, y)), [1.0, -2.0, 0.5], atol=1e-4)
    assert b"[" in lepton_ai.decrypt(learned.sealed_model(), passphrase="correct horse battery")
    model = lepton_ai.federated_learning.FL().federated_learning(x, y + 7, 5)
    exact = np.linalg.lstsq(np.column_stack([x, np.ones(200)]), y + 7, rcond=None)[0]
    assert np.allclose([*model.coefficients, model.intercept], exact, atol=1e-5)
    computed = lepton_ai.secure_multi_party_computation.SMPC().secure_multi_party_computation(x[:, 0], y, 4)
    assert abs(computed.inner_product - x[:, 0] @ y) <= computed.error < 0.01


def test_envelopes_say_who_made_them(tmp_path, lepton):
    private, public = lepton_ai.generate_key("x25519")
    sign, signer = lepton_ai.generate_key("ed25519", passphrase="a passphrase of mine")
    _, other = lepton_ai.generate_key("ed25519")
    token = lepton_ai.encrypt(b"signed", recipients=[public], sign=sign, sign_passphrase="a passphrase of mine")
    assert lepton_ai.decrypt(token, keys=[private], signers=[other, signer]) == b"signed"
    with pytest.warns(UserWarning, match="not checked"):
        assert lepton_ai.decrypt(token, keys=[private]) == b"signed"
    # A list of signers that came out empty trusts nobody, and not anybody.
    with pytest.raises(lepton_ai.UsageError, match="nobody could have signed"):
        lepton_ai.decrypt(token, keys=[private], signers=[])
    unsigned = lepton_ai.encrypt(b"signed", recipients=[public])
    for made, by in ((token, other), (unsigned, signer)):
        with pytest.raises(lepton_ai.EnvelopeError):
            lepton_ai.decrypt(made, keys=[private], signers=[by])
    with pytest.raises(lepton_ai.errors.UsageError):
        lepton_ai.encrypt(b"signed", recipients=[public], sign=private)
    for name, text in (("token", token), ("key", private), ("signer", signer)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)
    lepton("decrypt", "--key-file", "key", "--signer", "signer", "--in", "token", "--out", "back", cwd=tmp_path)
    assert (tmp_path / "back").read_bytes() == b"signed"


def test_envelopes_open_for_their_keys_only(tmp_path, lepton):
    private, public = lepton_ai.generate_key("x25519", passphrase="a passphrase of mine")
    token = lepton_ai.encrypt(b"\x00data", recipients=[public])
    assert lepton_ai.decrypt(token, keys=[private], key_passphrase="a passphrase of mine") == b"\x00data"
    assert lepton_ai.public_key(private, passphrase="a passphrase of mine") == public
    other, _ = lepton_ai.generate_key("hybrid")
    for key, passphrase in ((private, "another"), (other, None)):
        with pytest.raises(lepton_ai.EnvelopeError):
            lepton_ai.decrypt(token, keys=[key], key_passphrase=passphrase)
    start, end = token[:-8], token[-8:]
    with pytest.raises(lepton_ai.EnvelopeError):
        lepton_ai.decrypt(start + ("A" if end[0] != "A" else "B") + end[1:], keys=[private], key_passphrase="a passphrase of mine")
    secret = tmp_path / "secret.txt"
    secret.write_text("correct horse battery staple\n")
    secret.chmod(0o600)
    (tmp_path / "token").write_text(lepton_ai.encrypt("both ways", passphrase="correct horse battery staple"))
    assert lepton("decrypt", "--passphrase-file", secret, "--in", "token", "--out", "back", cwd=tmp_path) == ""
    assert (tmp_path / "back").read_text() == "both ways"


def test_partitions_are_computed_apart(tmp_path):
    (tmp_path / "words.py").write_text(
        "import lepton_ai\n"
        "def count(part):\n    return len(part.split())\n"
        "if __name__ == '__main__':\n"
        "    text = 'a ' * 1000\n"
        "    print(lepton_ai.DistributedComputation((count, sum), partitions=4).compute(text))\n"
    )
    assert int(python("words.py", cwd=tmp_path).stdout) == 1000
    shutil.rmtree(tmp_path / "__pycache__", ignore_errors=True)


def test_the_examples_of_the_guide_run(tmp_path):
    text = (ROOT / "docs" / "python.md").read_text()
    blocks = [part.split("```")[0] for part in text.split("```python\n")[1:]]
    assert len(blocks) == 3
    printed = python("-c", "\n".join(blocks), cwd=tmp_path).stdout
    assert "No privacy goal" in printed and "['no' 'yes']" in printed and "b'for her eyes'" in printed
