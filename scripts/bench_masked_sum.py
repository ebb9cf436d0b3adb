#!/usr/bin/env python3
"""Masked sums beside a peer, in one run, as Markdown tables for BENCHMARKS.md.

    cargo build --release && python3 -m venv /tmp/peer && /tmp/peer/bin/pip install flwr
    python3 scripts/bench_masked_sum.py --peer /tmp/peer/bin/python [--growth]

Ours is `lepton bench masked-sum` (three runs of each setting, the fastest CPU times). The peer's round runs in one process without a network, as
ours does (scripts/peer_secagg_round.py); its times are wall times of single-threaded work. Without --peer its rows are left out.
"""
import argparse, json, pathlib, subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent
LEPTON = ROOT / "target/release/lepton"
MB = 1e6


def ours(repeats=3, **setting):
    flags = [text for key, value in setting.items() for text in (f"--{key}", str(value))]
    runs = []
    for _ in range(repeats):
        done = subprocess.run([LEPTON, "bench", "masked-sum", "--json", *flags], capture_output=True, text=True, check=True)
        runs.append(json.loads(done.stdout))
    assert all(run["exact"] for run in runs)
    best = dict(runs[0])
    for key in ("party_cpu_s", "coordinator_cpu_s", "generator_s", "set_up_party_cpu_s"):
        best[key] = min(run[key] for run in runs)
    return best


def peer(python, clients, shares, threshold, dim, dropouts):
    arguments = [str(number) for number in (clients, shares, threshold, dim, dropouts)]
    done = subprocess.run([python, ROOT / "scripts/peer_secagg_round.py", *arguments], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def row(*cells):
    print("| " + " | ".join(str(cell) for cell in cells) + " |")


def head(*cells):
    row(*cells)
    row(*["---"] * len(cells))


def show(name, run):
    k, limit = run["neighbours"], 1.02 * run["vector_bytes"] + 64 * run["neighbours"] ** 2
    row(name, f"{run['party_cpu_s'] * 1e3:.1f} ms", f"{run['generator_s'] * 1e3:.1f} ms", f"{run['coordinator_cpu_s']:.3f} s",
        f"{run['up_bytes'] / MB:.3f} MB ({run['up_bytes'] / limit:.3f} of the limit)",
        f"{run['down_bytes'] / 1e3:.0f} kB ({run['down_bytes'] / (64 * k * k + 65536):.2f})", f"{run.get('peak_rss_bytes', 0) / MB:.0f} MB")


def beside(python):
    print("\nOne round, a million entries. A party's time, its masks' share of it, the coordinator's time (all CPU).\n")
    head("round", "party", "generator alone", "coordinator", "up", "down beside the model", "peak memory, all in one process")
    settings = [("10 parties, 1 dropped", dict(parties=10, neighbours=9, dropouts=1), (10, 10, 7, 1_000_000, 1)),
                ("100 parties x 10 neighbours, 5 dropped", dict(parties=100, neighbours=10, dropouts=5), (100, 11, 7, 1_000_000, 5)),
                ("101 parties x 100 neighbours, 10 dropped", dict(parties=101, neighbours=100, dropouts=10), (101, 101, 60, 1_000_000, 10))]
    for name, setting, theirs in settings:
        show(name, ours(dim=1_000_000, bits=32, **setting))
        if python:
            run = peer(python, *theirs)
            row(f"the same, Flower {run['flwr']}", f"{run['client_s_each'] * 1e3:.0f} ms", "", f"{run['server_s']:.2f} s",
                f"{run['up_bytes'] / MB:.3f} MB", f"{(run['down_bytes'] - 4e6) / 1e3:.0f} kB", f"{run['maxrss_MB']} MB")
    for bits in (16, 20, 24):
        show(f"101 parties x 100 neighbours, 10 dropped, {bits} bits", ours(dim=1_000_000, bits=bits, parties=101, neighbours=100, dropouts=10))
    show("11 parties x 10 neighbours, 1 dropped", ours(dim=1_000_000, bits=32, parties=11, neighbours=10, dropouts=1))


def memory():
    print("\nMemory of the coordinator and all parties in one process, a million entries.\n")
    head("parties", "neighbours", "peak memory")
    for parties in (10, 100, 1000):
        run = ours(repeats=1, dim=1_000_000, bits=32, parties=parties, dropouts=parties // 10, colluders=parties // 20)
        row(parties, run["neighbours"], f"{run.get('peak_rss_bytes', 0) / MB:.0f} MB")


def growth():
    print("\nGrowth: 10,000 entries of 32 bits, sparse graph from 129 parties on, 10 % dropped, 5 % colluders.\n")
    head("parties", "neighbours", "committee", "party", "up", "down", "set-up of a party", "coordinator", "security")
    for parties in (100, 200, 500, 1000, 2000, 5000, 10000):
        run = ours(repeats=1, dim=10_000, bits=32, parties=parties, dropouts=parties // 10, colluders=parties // 20)
        bits = run.get("security_bits")
        row(parties, run["neighbours"], run["committee"], f"{run['party_cpu_s'] * 1e3:.2f} ms", f"{run['up_bytes'] / 1e3:.0f} kB",
            f"{run['down_bytes'] / 1e3:.0f} kB", f"{run['set_up_party_cpu_s'] * 1e3:.2f} ms", f"{run['coordinator_cpu_s']:.2f} s",
            "complete" if bits is None else f"{bits:.0f} bits")


if __name__ == "__main__":
    flags = argparse.ArgumentParser()
    flags.add_argument("--peer", help="a Python that has flwr")
    flags.add_argument("--growth", action="store_true", help="100 to 10,000 parties too (minutes, several GB of memory)")
    chosen = flags.parse_args()
    beside(chosen.peer)
    memory()
    if chosen.growth:
        growth()
