#!/usr/bin/env python3
"""Quality of the examples over repeated splits, as a Markdown table for BENCHMARKS.md. Needs the release binary and Python's standard library only.

    cargo build --release && python3 scripts/bench_quality.py --seeds 10
    cargo build --release && python3 scripts/bench_quality.py --private --seeds 5

With `--private`: the price of privacy. Each set without a goal and at epsilon 1, 3 and 8 (delta 1e-5), settings chosen by rule from the public number of rows
(`privacy.population`); no run is tuned by itself.

Every run is `lepton run examples/NAME/job.toml --set data.split_seed=K [--set privacy.epsilon=E]`: a new split over parties and a new hold-out each time.
Differences are paired by split; intervals are 95 % (Student's t over the seeds). All figures are exact on the hold-out rows of all parties
(`baselines.federated`, simulation only), so that noise on the reported metrics does not blur the comparison of models.
"""
import argparse, json, math, pathlib, subprocess, sys, tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
T95 = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 7: 2.447, 8: 2.365, 9: 2.306, 10: 2.262, 15: 2.145, 20: 2.093}
LOGISTIC = ["model={kind=\"logistic\"}"]
SETS = [
    ("churn", "logistic", []),
    ("churn_states", "logistic", LOGISTIC + ["training.optimiser=sgd", "training.learning_rate=0.05"]),
    ("churn_states", "mlp", []),
    ("credit", "logistic", []),
    ("breast_cancer", "logistic", []),
    ("digits", "mlp", []),
    ("clinics", "logistic", []),
]

# Example, job file, model, rows of its table: public, and the only figure that the settings of the private runs depend on.
PRIVATE = [
    ("digits", "job.toml", "mlp", 1797),
    ("digits", "cnn.toml", "cnn", 1797),
    ("churn", "job.toml", "logistic", 7043),
    ("credit", "job.toml", "logistic", 4454),
    ("breast_cancer", "job.toml", "logistic", 569),
]


def run(binary, name, seed, extra, out, job="job.toml"):
    sets = [f"data.split_seed={seed}", *extra]
    command = [binary, "run", "--json", "--quiet", "--runs", out, str(ROOT / f"examples/{name}/{job}")]
    for one in sets:
        command += ["--set", one]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stderr}")
    return json.loads(done.stdout)


def mean(values):
    return sum(values) / len(values)


def interval(values):
    m, n = mean(values), len(values)
    spread = math.sqrt(sum((v - m) ** 2 for v in values) / (n - 1))
    return m, T95[n] * spread / math.sqrt(n)


def points(values):
    m, half = interval([100 * v for v in values])
    return f"{m:+.2f} ± {half:.2f}"


def private(args, out):
    print("| set, model | rows | epsilon | accuracy | AUC | accuracy − without a goal (points) |")
    print("|---|---|---|---|---|---|")
    for name, job, model, rows in PRIVATE:
        if args.only and name not in args.only:
            continue
        plain = None
        for epsilon in (None, 8, 3, 1):
            goal = [] if epsilon is None else [f"privacy.epsilon={epsilon}", f"privacy.population={rows}", "training.rounds=auto", *args.set]
            docs = [run(args.binary, name, seed, goal, out, job)["baselines"]["federated"] for seed in range(1, args.seeds + 1)]
            plain = plain or docs
            accuracy, half = interval([doc["accuracy"] for doc in docs])
            area = mean([doc["auc"] for doc in docs]) if all("auc" in doc for doc in docs) else None
            cells = [f"{name}, {model}", f"{rows:,}", str(epsilon or "none"), f"{accuracy:.4f} ± {half:.4f}", "" if area is None else f"{area:.4f}",
                     "" if epsilon is None else points([doc["accuracy"] - one["accuracy"] for doc, one in zip(docs, plain)])]
            print("| " + " | ".join(cells) + " |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10, choices=sorted(T95))
    parser.add_argument("--binary", default=str(ROOT / "target/release/lepton"))
    parser.add_argument("--only", nargs="*", help="example names")
    parser.add_argument("--private", action="store_true", help="the price of privacy, in place of the comparison with pooled training")
    parser.add_argument("--set", action="append", default=[], help="with --private: a further setting of the private runs")
    args = parser.parse_args()
    if args.private:
        with tempfile.TemporaryDirectory() as out:
            return private(args, out)
    print("| set, model | run | accuracy | balanced | AUC | accuracy − pooled (points) | AUC − pooled (points) |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as out:
        for name, model, extra in SETS:
            if args.only and name not in args.only:
                continue
            runs = {goal: [run(args.binary, name, seed, extra + more, out) for seed in range(1, args.seeds + 1)]
                    for goal, more in [("federated", []), ("federated, epsilon 3", ["privacy.epsilon=3"]), ("federated, epsilon 1", ["privacy.epsilon=1"])]}
            rows = [("pooled", runs["federated"], "pooled"), *[(goal, docs, "federated") for goal, docs in runs.items()],
                    ("best single party", runs["federated"], "local_best"), ("majority class", runs["federated"], "majority")]
            for label, docs, key in rows:
                got = [doc["baselines"][key] for doc in docs]
                reference = [doc["baselines"]["pooled"] for doc in docs]
                cells = [f"{mean([g[m] for g in got]):.4f}" for m in ("accuracy", "balanced_accuracy", "auc")]
                diffs = ["", ""] if key == "pooled" else [
                    points([g[m] - r[m] for g, r in zip(got, reference)]) for m in ("accuracy", "auc")]
                print("| " + " | ".join([f"{name}, {model}", label, *cells, *diffs]) + " |", flush=True)


if __name__ == "__main__":
    main()
