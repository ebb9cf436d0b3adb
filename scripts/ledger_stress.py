#!/usr/bin/env python3
"""Many processes compete for one privacy budget and are killed at random moments; then every promise of the ledger is checked. Needs Python's standard library only.

    cargo build --release -p lepton -p lepton-node --bin lepton --example ledger_client && python3 scripts/ledger_stress.py --processes 64 --kills 1000

Checked: spent and reserved never pass the limit, no release is charged twice, every charge that was answered with success is there, what was refused is not, and the chain verifies.
"""

import argparse
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=64)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--charges", type=int, default=8, help="releases of each job")
    parser.add_argument("--longest", type=float, default=1.5, help="seconds after which a process is killed at the latest")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--target", type=pathlib.Path, default=pathlib.Path("target/release"))
    options = parser.parse_args()
    random.seed(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        desk = Desk(options, pathlib.Path(folder))
        desk.run()
        desk.check(time.monotonic() - began)


class Desk:
    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.ledger, self.table = folder / "ledger.db", folder / "data.csv"
        self.table.write_text("a,b\n" + "".join(f"{row},{row * row}\n" for row in range(50)))
        self.lepton("budget", "set", "--ledger", self.ledger, "--data", "rows", "--table", self.table, "--epsilon", "4", "--delta", "1e-6")
        self.running, self.started, self.kills, self.said = [], 0, 0, {}

    def lepton(self, *arguments):
        done = subprocess.run([self.options.target / "lepton", *map(str, arguments)], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"lepton {arguments[1]} failed: {done.stderr}")
        return done.stdout

    def start(self):
        # A third of the processes go on with a job that another one began, as a resumed run does.
        old = self.started > 10 and random.random() < 0.33
        job = f"job-{random.randrange(self.started) if old else self.started}"
        self.started += 1
        log = open(self.folder / f"{self.started}.log", "w+", encoding="utf-8")
        command = [self.options.target / "examples" / "ledger_client", self.ledger, self.table, job, str(self.options.charges)]
        process = subprocess.Popen(list(map(str, command)), stdout=log, stderr=subprocess.DEVNULL)
        self.running.append((process, job, log, time.monotonic() + random.random() * self.options.longest))

    def run(self):
        while self.kills < self.options.kills:
            while len(self.running) < self.options.processes:
                self.start()
            still = []
            for process, job, log, end in self.running:
                if process.poll() is None and time.monotonic() > end:
                    process.kill()
                    process.wait()
                    self.kills += 1
                if process.poll() is None:
                    still.append((process, job, log, end))
                else:
                    self.listen(job, log)
            self.running = still
            time.sleep(0.002)
        for process, job, log, _ in self.running:
            process.wait()
            self.listen(job, log)

    def listen(self, job, log):
        log.seek(0)
        for line in log.read().splitlines():
            said = self.said.setdefault(job, [])
            said.append(line)
        log.close()

    def check(self, seconds):
        verified = json.loads(self.lepton("budget", "verify", "--ledger", self.ledger, "--json"))
        block = json.loads(self.lepton("budget", "show", "--ledger", self.ledger, "--json"))["blocks"][0]
        entries = json.loads(self.lepton("budget", "history", "--ledger", self.ledger, "--json"))["entries"]
        kinds = {}
        charged, reserved, closed = {}, {}, set()
        for entry in entries:
            (kind, what), = entry["entry"]["what"].items()
            kinds[kind] = kinds.get(kind, 0) + 1
            if kind == "charged":
                key = (what["job"], what["charge"]["round"])
                assert key not in charged, f"{key} is charged twice"
                charged[key] = max(what["cost"])
            elif kind == "reserved":
                assert what["job"] not in reserved, f"{what['job']} is reserved twice"
                reserved[what["job"]] = what
            elif kind == "closed":
                closed.add(what["job"])
        answered = [(job, int(line.split()[1])) for job, lines in self.said.items() for line in lines if line.startswith("charged")]
        assert len(answered) == len(set(answered)), "a release was answered with success twice"
        assert set(answered) <= set(charged), "a charge that was answered with success is not there"
        refused = sum(line == "refused" for lines in self.said.values() for line in lines)
        for job, lines in self.said.items():
            assert "reserved" not in lines or job in reserved, f"{job} was told it is reserved"
        used, capacity = block["used_nanonats"], block["capacity_nanonats"]
        assert used <= capacity, f"{used} of {capacity}"
        assert used == self.expected(block["order"], entries), "the sum is another one"
        assert verified["sound"] and verified["entries"] == len(entries)
        print(json.dumps({
            "processes_started": self.started, "at_a_time": self.options.processes, "killed": self.kills, "seconds": round(seconds, 1),
            "entries": kinds, "charges_answered": len(answered), "refused": refused, "used_of_capacity": round(used / capacity, 6), "sound": True,
        }))

    @staticmethod
    def expected(order, entries):
        """Spent and reserved, added up anew from the history."""
        orders = [*range(2, 65), 72, 96, 128, 192, 256, 512, 1024]
        place, cost, held, ended = orders.index(order), {}, {}, set()
        for entry in entries:
            (kind, what), = entry["entry"]["what"].items()
            if kind == "charged":
                cost[what["job"]] = cost.get(what["job"], 0) + what["cost"][place]
            elif kind == "reserved":
                held[what["job"]] = what["curve"][place]
            elif kind == "closed":
                ended.add(what["job"])
        return sum(cost.get(job, 0) if job in ended else max(held[job], cost.get(job, 0)) for job in held)


if __name__ == "__main__":
    os.umask(0o077)
    main()
