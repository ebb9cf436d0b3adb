#!/usr/bin/env python3
"""What it costs that a party's program is in Python: seconds a round beside a native model with as many parameters, in one process.

Three parties, 60 rows each, so that training itself is next to nothing. The Python party copies its parameters in and out and trains nothing; the native one is a perceptron
of the same size that takes one full-batch step. Both rounds have the same masked sum. Needs the package (pip install ./python).

    python scripts/bench_python_party.py [--rounds 5]
"""

import argparse
import sys
import tempfile
import time

import numpy as np

import lepton_ai

INPUTS = 20


class Copies(lepton_ai.Party):
    calls = 0.0

    def fit(self, parameters, x, y, config):
        began = time.perf_counter()
        changed = [array + np.float32(1e-3) for array in parameters]
        Copies.calls += time.perf_counter() - began
        return changed

    def predict(self, parameters, x):
        return np.full(len(x), 0.5)


def job(rounds, width):
    generator = np.random.default_rng(1)
    x = generator.normal(size=(180, INPUTS))
    columns = {f"x{number}": x[:, number] for number in range(INPUTS)}
    columns["y"] = np.where(x[:, 0] > 0, "yes", "no")
    settings = {
        "job": {"name": "overhead"},
        "data": {"table": "table", "label": "y", "classes": ["no", "yes"], "split": {"by": "even", "parties": 3}},
        "prepare": {"bounds": {f"x{number}": [-5, 5] for number in range(INPUTS)}},
        "training": {"rounds": rounds, "local_steps": 1, "batch": 1000},
        "evaluation": {"every": rounds},
    }
    return settings, columns


def measured(settings, columns, **more):
    with tempfile.TemporaryDirectory() as folder:
        report = lepton_ai.run(settings, data=columns, runs=folder, quiet=True, **more).report
    return report["timing"]["train_s"] / report["rounds"], report["timing"]["protocol_s"] / report["rounds"], report["model"]["parameters"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    print("| parameters | native, a round | Python, a round | of it in the Python function, three parties |")
    print("|---|---|---|---|")
    for width in (10, 300, 3100):
        settings, columns = job(rounds, width)
        hidden = [width, width] if width > 10 else [45]
        native = sum(measured({**settings, "model": {"kind": "mlp", "hidden": hidden}}, columns)[:2])
        sides = [INPUTS, *hidden, 1]
        Copies.shapes = [shape for a, b in zip(sides, sides[1:]) for shape in ((b, a), (b,))]
        Copies.calls = 0.0
        train, protocol, parameters = measured(settings, columns, party=Copies)
        print(f"| {parameters:,} | {native:.4f} s | {train + protocol:.4f} s | {Copies.calls / rounds:.4f} s |")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
