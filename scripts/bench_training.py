#!/usr/bin/env python3
"""Training throughput beside peers, in one run, as a Markdown table for BENCHMARKS.md.

    pip install torch opacus scikit-learn && python3 scripts/bench_training.py

Ours comes from `cargo run --release -p lepton-learn --example throughput`. Two threads mean two parties training at once for us, and two
compute threads for PyTorch. Random data, loading excluded; the fastest of several windows for everybody. Without
"noise" in its name a line clips and sums only, for everybody; Opacus then runs with a noise multiplier of 0. Peers that are not installed are left out.
"""
import json, pathlib, subprocess, sys, time, warnings, logging

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)
ROOT = pathlib.Path(__file__).resolve().parent.parent


BATCHES = (256, 1024)
CPU = "--cpu" in sys.argv
THREADS = (1,) if CPU else (1, 2)
CNN = "cnn 28x28-16-32-32-10"


def ours():
    done = subprocess.run(["cargo", "run", "--release", "--quiet", "-p", "lepton-learn", "--example", "throughput", "--"] + ["--cpu"] * CPU,
                          cwd=ROOT, capture_output=True, text=True, check=True)
    return [dict(json.loads(line), who="Lepton") for line in done.stdout.splitlines()]


def fastest(step, batch, seconds=0.3, windows=7):
    clock, best = time.process_time if CPU else time.perf_counter, 0.0
    for _ in range(5):
        step()
    for _ in range(windows):
        start, count = clock(), 0
        while clock() - start < seconds:
            step()
            count += 1
        best = max(best, batch * count / (clock() - start))
    return best


def torch_rows():
    try:
        import torch
        from torch import nn
    except Exception:
        return []
    try:
        from opacus import PrivacyEngine
        from torch.utils.data import DataLoader, TensorDataset
    except Exception:
        PrivacyEngine = None

    def cnn():
        return nn.Sequential(nn.Unflatten(1, (1, 28, 28)), nn.Conv2d(1, 16, 8, 2, padding=3), nn.ReLU(), nn.MaxPool2d(2, 1),
                             nn.Conv2d(16, 32, 4, 2), nn.ReLU(), nn.MaxPool2d(2, 1), nn.Flatten(), nn.Linear(512, 32), nn.ReLU(), nn.Linear(32, 10))

    makes = {"mlp 784-128-10": (lambda: nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10)), 784, 10),
             CNN: (cnn, 784, 10), "logistic 30-1": (lambda: nn.Linear(30, 2), 30, 2)}
    rows = []
    for threads in THREADS:
        torch.set_num_threads(threads)
        for name, (make, inputs, classes) in makes.items():
            for batch in BATCHES:
                x, y = torch.rand(batch * 16, inputs), torch.randint(0, classes, (batch * 16,))
                for mode in ["plain f32"] + (["ghost clipping", "ghost clipping + float noise", "per-example gradients + float noise"] if PrivacyEngine else []):
                    model, loss = make(), nn.CrossEntropyLoss()
                    optimiser = torch.optim.SGD(model.parameters(), lr=0.01)
                    if mode != "plain f32":
                        loader = DataLoader(TensorDataset(x, y), batch_size=batch)
                        options = dict(module=model, optimizer=optimiser, data_loader=loader, noise_multiplier=1.0 if "noise" in mode else 0.0, max_grad_norm=1.0, poisson_sampling=False)
                        if mode.startswith("ghost"):
                            model, optimiser, loss, loader = PrivacyEngine().make_private(criterion=loss, grad_sample_mode="ghost", **options)
                        else:
                            model, optimiser, loader = PrivacyEngine().make_private(grad_sample_mode="hooks", **options)
                    model.train()
                    state = {"i": 0}

                    def step():
                        i = state["i"] % 16
                        state["i"] += 1
                        optimiser.zero_grad()
                        loss(model(x[i * batch:(i + 1) * batch]), y[i * batch:(i + 1) * batch]).backward()
                        optimiser.step()

                    who = "PyTorch " + torch.__version__.split("+")[0] if mode == "plain f32" else "Opacus"
                    rows.append(dict(who=who, model=name, batch=batch, mode=mode, threads=threads, examples_per_s=fastest(step, batch)))
    return rows


def sklearn_rows():
    try:
        import numpy as np
        from sklearn.linear_model import SGDClassifier
        from sklearn.neural_network import MLPClassifier
    except Exception:
        return []
    rng, rows = np.random.default_rng(0), []
    for batch in BATCHES:
        x, y = rng.random((batch * 16, 784), dtype=np.float32), rng.integers(0, 10, batch * 16)
        model = MLPClassifier((128,), solver="sgd", batch_size=batch)
        model.partial_fit(x, y, classes=range(10))
        rows.append(dict(who="scikit-learn", model="mlp 784-128-10", batch=batch, mode="plain f32", threads=2,
                         examples_per_s=fastest(lambda: model.partial_fit(x, y), batch * 16)))
    return rows


def main():
    rows = ours() + torch_rows() + ([] if CPU else sklearn_rows())
    print("| model | batch | who, how | 1 thread | 2 threads |\n|---|---|---|---|---|")
    keys = dict.fromkeys((r["model"], r["batch"], r["who"], r["mode"]) for r in rows)
    for key in sorted(keys, key=lambda k: (k[0] != "mlp 784-128-10", k[1])):
        cells = []
        for threads in (1, 2):
            got = [r["examples_per_s"] for r in rows if (r["model"], r["batch"], r["who"], r["mode"]) == key and r["threads"] == threads]
            cells.append(f"{got[0] / 1000:,.0f} k/s" if got else "–")
        print(f"| {key[0]} | {key[1]} | {key[2]}, {key[3]} | {cells[0]} | {cells[1]} |")


if __name__ == "__main__":
    main()
