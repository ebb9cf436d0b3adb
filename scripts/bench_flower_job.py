#!/usr/bin/env python3
"""The same federated job in Flower's simulation and in Lepton's, as a Markdown table for BENCHMARKS.md: wall, CPU and memory of whole processes.

    python3 -m venv /tmp/flower && /tmp/flower/bin/pip install "flwr[simulation]"
    pip install ./python && python scripts/bench_flower_job.py --flower /tmp/flower/bin/python [--parties 10] [--rounds 50] [--hidden 0 32] [--repeat 3]

Both train with the same numpy function (full-batch gradient descent, so many steps a round, from the same start), on the same rows of data/breast_cancer.csv, standardised, dealt
evenly, with the same rows kept aside; the mean of changes, weighted by rows, after every round; no privacy goal. Models: logistic regression (--hidden 0), or one hidden layer.
Lepton masks every sum, which it cannot leave out. Flower does not, and in a row of its own does with SecAgg+ (five shares, three to open). "native" is Lepton's own model with as many
full-batch steps of the same length, in place of the Python function (a perceptron starts elsewhere, so its loss is another).

Both simulate on one machine, Flower with a worker process of Ray's for each core, Lepton in one process: what it costs to try a job out, not what a network does to it.

A run is a fresh process and whatever it starts, found by a mark in the environment: wall from start to end; CPU the sum of all; memory the highest sum of proportional set sizes (what is shared is
counted once) and of resident sets, looked at every 50 ms. A round is what R rounds take more than one, by R - 1.
"""
import argparse, csv, json, os, pathlib, resource, subprocess, sys, tempfile, threading, time, uuid

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent
TABLE = ROOT / "data" / "breast_cancer.csv"
STEPS, RATE, LABEL, CLASSES, MARK = 5, 0.5, "diagnosis", ["benign", "malignant"], "LEPTON_BENCH_MARK"
SHARES = 5


# What both train.


class Net:
    """Flat parameters, counted from a fixed start, so that all begin at zeros."""

    def __init__(self, inputs, hidden):
        self.inputs, self.hidden = inputs, hidden
        sizes = [inputs * hidden, hidden, hidden] if hidden else [inputs]
        self.cuts = np.cumsum(sizes)
        self.size = int(self.cuts[-1]) + 1
        self.start = np.random.default_rng(1).normal(size=self.size) / np.sqrt(inputs) if hidden else np.zeros(self.size)

    def shares(self, flat, x):
        return self._forward(flat, x)[-1]

    def train(self, flat, x, y):
        for _ in range(STEPS):
            flat = flat - RATE * self._gradient(flat, x, y)
        return flat

    def _parts(self, flat):
        parts = np.split(flat + self.start, self.cuts)
        return [parts[0].reshape(self.hidden, self.inputs), *parts[1:]] if self.hidden else parts

    def _forward(self, flat, x):
        *first, last, shift = self._parts(flat)
        inner = np.tanh(x @ first[0].T + first[1]) if first else x
        return inner, last, 1 / (1 + np.exp(-(inner @ last + shift)))

    def _gradient(self, flat, x, y):
        inner, last, shares = self._forward(flat, x)
        error = (shares - y) / len(y)
        below = np.outer(error, last) * (1 - inner**2)
        first = [(below.T @ x).reshape(-1), below.sum(axis=0)] if self.hidden else []
        return np.concatenate([*first, inner.T @ error, [error.sum()]])


def said(net, flat, held):
    """One line for the table: accuracy and loss on the rows kept aside."""
    shares = net.shares(np.asarray(flat, dtype=np.float64), held["x"])
    likely = np.where(held["y"] == 1, shares, 1 - shares)
    print(json.dumps({"accuracy": float((likely > 0.5).mean()), "loss": float(-np.log(likely).mean()), "parameters": net.size}))


# Lepton.


def lepton_job(folder, rounds, columns, model):
    tables = [str(path) for path in sorted(folder.glob("party-*.csv"))]
    job = {
        "job": {"name": "bench"},
        "data": {"tables": tables, "label": LABEL, "classes": CLASSES, "features": columns, "types": {column: "number" for column in columns}},
        "prepare": {"scale": "none", "bounds": {column: [-50, 50] for column in columns}, "duplicates": "keep"},
        "training": {"rounds": rounds, "local_steps": STEPS, "batch": 65536, "learning_rate": RATE, "momentum": 0.0},
        "evaluation": {"every": rounds},
        **({"model": model} if model else {}),
    }
    return job, {"runs": folder / "runs", "quiet": True}


def lepton_side(folder, rounds, hidden, native):
    import lepton_ai

    columns, held = (json.loads((folder / "columns.json").read_text()), np.load(folder / "held.npz"))
    net = Net(len(columns), hidden)

    class Trainer(lepton_ai.Party):
        shapes = [(net.size,)]

        def fit(self, parameters, x, y, config):
            return [net.train(parameters[0].astype(np.float64), x.astype(np.float64), y)]

        def predict(self, parameters, x):
            return net.shares(parameters[0].astype(np.float64), x)

    own = {"kind": "mlp", "hidden": [hidden], "activation": "tanh"} if hidden else {"kind": "logistic"}
    job, words = lepton_job(folder, rounds, columns, own if native else None)
    run = lepton_ai.run(job, **words, **({} if native else {"party": Trainer}))
    if native:
        print(json.dumps({"accuracy": run.metrics["accuracy"], "loss": run.metrics["loss"], "parameters": run.report["model"]["parameters"]}))
    else:
        said(net, run.model.tensors()["tensor0"], held)


def kept_rows(folder, columns, rows):
    """Writes which rows Lepton trains on at each party, and which it keeps aside, for both sides."""
    import lepton_ai

    seen = {}

    class Looks(lepton_ai.Party):
        shapes = [(1,)]

        def fit(self, parameters, x, y, config):
            seen[self.name] = (x.astype(np.float64), y)
            return parameters

        def predict(self, parameters, x):
            return np.full(len(x), 0.5)

    job, words = lepton_job(folder, 1, columns, None)
    lepton_ai.run(job, party=Looks, **words)
    trained = set()
    for number, name in enumerate(sorted(seen, key=lambda name: int(name.rpartition("-")[2]))):
        x, y = seen[name]
        trained.update(row.astype(np.float32).tobytes() for row in x)
        np.savez(folder / f"rows-{number}.npz", x=x, y=y)
    held = [(row, label) for row, label in rows if row.astype(np.float32).tobytes() not in trained]
    assert len(held) + len(trained) == len(rows), "rows that are equal"
    np.savez(folder / "held.npz", x=np.array([row for row, _ in held]), y=np.array([label for _, label in held]))
    return len(trained), len(held)


# Flower.


def flower_side(folder, rounds, hidden, parties, masked):
    held = np.load(folder / "held.npz")
    net = Net(held["x"].shape[1], hidden)
    rows = lambda context: np.load(folder / f"rows-{int(context.node_config['partition-id'])}.npz")
    if masked:
        largest = max(len(np.load(folder / f"rows-{party}.npz")["y"]) for party in range(parties))
        server, client, found = flower_masked(net, rounds, (parties, largest), rows)
    else:
        server, client, found = flower_plain(net, rounds, parties, rows)
    from flwr.simulation import run_simulation

    run_simulation(server_app=server, client_app=client, num_supernodes=parties, backend_config={"client_resources": {"num_cpus": 1, "num_gpus": 0.0}})
    said(net, found[0], held)


def flower_plain(net, rounds, parties, rows):
    from flwr.app import ArrayRecord, Message, MetricRecord, RecordDict
    from flwr.clientapp import ClientApp
    from flwr.serverapp import ServerApp
    from flwr.serverapp.strategy import FedAvg

    client, server, found = ClientApp(), ServerApp(), []

    @client.train()
    def train(message, context):
        own = rows(context)
        flat = net.train(message.content["arrays"].to_numpy_ndarrays()[0], own["x"], own["y"])
        content = {"arrays": ArrayRecord([flat]), "metrics": MetricRecord({"num-examples": len(own["y"])})}
        return Message(content=RecordDict(content), reply_to=message)

    @server.main()
    def main(grid, context):
        strategy = FedAvg(fraction_evaluate=0.0, min_train_nodes=parties, min_available_nodes=parties)
        result = strategy.start(grid=grid, initial_arrays=ArrayRecord([np.zeros(net.size)]), num_rounds=rounds)
        found.extend(result.arrays.to_numpy_ndarrays())

    return server, client, found


def flower_masked(net, rounds, parties_and_largest, rows):
    from flwr.client import NumPyClient
    from flwr.client.mod import secaggplus_mod
    from flwr.clientapp import ClientApp
    from flwr.common import ndarrays_to_parameters, parameters_to_ndarrays
    from flwr.server import LegacyContext, ServerConfig
    from flwr.server.strategy import FedAvg
    from flwr.server.workflow import DefaultWorkflow, SecAggPlusWorkflow
    from flwr.serverapp import ServerApp

    class Client(NumPyClient):
        def __init__(self, own):
            self.own = own

        def fit(self, parameters, config):
            return [net.train(parameters[0], self.own["x"], self.own["y"])], len(self.own["y"]), {}

    parties, largest = parties_and_largest
    found, server = [], ServerApp()
    client = ClientApp(client_fn=lambda context: Client(rows(context)).to_client(), mods=[secaggplus_mod])

    @server.main()
    def main(grid, context):
        strategy = FedAvg(
            fraction_evaluate=0.0, min_fit_clients=parties, min_available_clients=parties, initial_parameters=ndarrays_to_parameters([np.zeros(net.size)]),
            evaluate_fn=lambda number, arrays, config: found.__setitem__(slice(None), arrays),
        )
        legacy = LegacyContext(context=context, config=ServerConfig(num_rounds=rounds), strategy=strategy)
        # Weights, rows, are fractions of the largest; values are clipped to 8 and have 22 bits, Flower's own setting.
        DefaultWorkflow(fit_workflow=SecAggPlusWorkflow(num_shares=SHARES, reconstruction_threshold=3, max_weight=float(largest)))(grid, legacy)

    return server, client, found


# Measuring.


class Watch(threading.Thread):
    """CPU and memory of all processes with a mark in their environment."""

    def __init__(self, mark):
        super().__init__(daemon=True)
        self.mark, self.over = f"{MARK}={mark}".encode(), threading.Event()
        self.known, self.cpu, self.resident, self.proportional, self.most = {}, {}, 0, 0, 0

    def run(self):
        while not self.over.wait(0.05):
            self.look()

    def look(self):
        mine = [place for place in pathlib.Path("/proc").iterdir() if place.name.isdigit() and self.is_mine(place)]
        resident = proportional = 0
        for place in mine:
            try:
                fields = (place / "stat").read_text().rsplit(")", 1)[1].split()
                self.cpu[place.name, fields[19]] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
                sizes = dict(line.split(":")[:2] for line in (place / "smaps_rollup").read_text().splitlines()[1:])
            except (OSError, IndexError):
                continue
            resident += int(sizes["Rss"].split()[0]) * 1024
            proportional += int(sizes["Pss"].split()[0]) * 1024
        self.resident, self.proportional, self.most = max(self.resident, resident), max(self.proportional, proportional), max(self.most, len(mine))

    def is_mine(self, place):
        try:
            key = place.name, place.stat().st_ctime_ns
            # Between fork and exec a child of another has that one's environment: once more for the young.
            if not self.known.get(key):
                self.known[key] = self.mark in (place / "environ").read_bytes()
            return self.known[key]
        except OSError:
            return False


def spent():
    """CPU seconds of all children that were waited for, theirs included."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measured(python, words, limit):
    mark = uuid.uuid4().hex
    environment = {**os.environ, MARK: mark, "RAY_USAGE_STATS_ENABLED": "0", "FLWR_TELEMETRY_ENABLED": "0", "RAY_DEDUP_LOGS": "0", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    watch, began, before = Watch(mark), time.monotonic(), spent()
    watch.start()
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen([python, __file__, *words], env=environment, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True)
        try:
            told, _ = process.communicate(timeout=limit)
        finally:
            watch.over.set()
            process.kill()
        errors.seek(0)
        assert process.returncode == 0, f"{words} ended with {process.returncode}:\n{errors.read()[-4000:]}"
    wall = time.monotonic() - began
    watch.join()
    figures = json.loads([line for line in told.splitlines() if line.startswith("{")][-1])
    # What was waited for is counted to its end; what was not, as far as it was seen.
    cpu = max(sum(watch.cpu.values()), spent() - before)
    return {**figures, "wall": wall, "cpu": cpu, "pss": watch.proportional, "rss": watch.resident, "processes": watch.most}


def tables(folder, parties):
    """The standardised table, dealt in turn to the parties' files."""
    with open(TABLE, newline="") as file:
        lines = list(csv.DictReader(file))
    columns = [column for column in lines[0] if column != LABEL]
    x = np.array([[float(line[column]) for column in columns] for line in lines])
    x = ((x - x.mean(axis=0)) / x.std(axis=0)).astype(np.float32).astype(np.float64)
    y = np.array([CLASSES.index(line[LABEL]) for line in lines])
    for party in range(parties):
        with open(folder / f"party-{party:04}.csv", "w", newline="") as file:
            out = csv.writer(file)
            out.writerow([*columns, LABEL])
            out.writerows([*map(repr, map(float, x[row])), CLASSES[y[row]]] for row in range(party, len(x), parties))
    (folder / "columns.json").write_text(json.dumps(columns))
    return columns, list(zip(x, y))


def main():
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--flower", help="a Python that has flwr[simulation]")
    flags.add_argument("--parties", type=int, default=10)
    flags.add_argument("--rounds", type=int, default=50)
    flags.add_argument("--hidden", type=int, nargs="+", default=[0, 32])
    flags.add_argument("--repeat", type=int, default=3)
    flags.add_argument("--limit", type=int, default=1800, help="seconds that one process may take")
    flags.add_argument("--side", nargs=2, metavar=("SIDE", "FOLDER"), help=argparse.SUPPRESS)
    given = flags.parse_args()
    if given.side:
        side, folder = given.side[0], pathlib.Path(given.side[1])
        if side.startswith("flower"):
            return flower_side(folder, given.rounds, given.hidden[0], given.parties, side == "flower-masked")
        return lepton_side(folder, given.rounds, given.hidden[0], side == "lepton-native")
    sides = {"lepton": "Lepton, Python party, masked", "lepton-native": "Lepton, native, masked"}
    if given.flower:
        if given.parties < SHARES:
            flags.error(f"SecAgg+ has {SHARES} shares, so --parties must be {SHARES} at least")
        sides = {"flower": "Flower, plain", "flower-masked": "Flower, SecAgg+", **sides}
    with tempfile.TemporaryDirectory(prefix="lepton-bench-") as made:
        folder = pathlib.Path(made)
        trained, held = kept_rows(folder, *tables(folder, given.parties))
        print(f"{given.parties} parties, {trained} training rows, {held} kept aside, {given.rounds} rounds of {STEPS} steps; the median of {given.repeat}.\n")
        print("| job | wall | CPU | a round (wall) | memory (PSS) | memory (RSS) | processes | accuracy | loss |")
        print("|---|---|---|---|---|---|---|---|---|")
        for hidden in given.hidden:
            for side, name in sides.items():
                row(given, folder, (hidden, side, name))


def row(given, folder, about):
    hidden, side, name = about
    python = given.flower if side.startswith("flower") else sys.executable
    words = ["--side", side, str(folder), "--hidden", str(hidden), "--parties", str(given.parties), "--rounds"]
    runs = [measured(python, [*words, str(given.rounds)], given.limit) for _ in range(given.repeat)]
    once = [measured(python, [*words, "1"], given.limit)["wall"] for _ in range(given.repeat)]
    middle = {key: float(np.median([run[key] for run in runs])) for key in runs[0]}
    a_round = (middle["wall"] - float(np.median(once))) / max(given.rounds - 1, 1)
    model = f"{'perceptron' if hidden else 'logistic'}, {middle['parameters']:,.0f} parameters"
    print(
        f"| {model}: {name} | {middle['wall']:.2f} s | {middle['cpu']:.2f} s | {a_round * 1e3:.1f} ms | {middle['pss'] / 1e6:,.0f} MB | {middle['rss'] / 1e6:,.0f} MB "
        f"| {middle['processes']:.0f} | {middle['accuracy']:.4f} | {middle['loss']:.6f} |", flush=True,
    )


if __name__ == "__main__":
    main()
