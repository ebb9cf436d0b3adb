#!/usr/bin/env python3
"""A federation of processes on this machine, TLS between them, as Markdown tables for BENCHMARKS.md.

    cargo build --release -p lepton && python3 scripts/bench_federation.py [--parties 10] [--runs 3]

Time per exchange: from the first to the last training sum of a job whose training itself is next to nothing (a few rows a party), so what is
left is masking, signatures, links, audit logs and stores that are durable before anything is sent. Peak memory is VmHWM of /proc/PID/status.
"""
import argparse, json, os, pathlib, subprocess, tempfile, time

ROOT = pathlib.Path(__file__).resolve().parent.parent
COLUMNS = [f"c{i}" for i in range(16)]
MB = 1e6
JOB = """[job]
name = "{name}"
[data]
table = "rows"
label = "y"
classes = ["no", "yes"]
features = {features}
types = {{ {types} }}
[prepare.bounds]
{bounds}
[model]
{model}
[training]
rounds = {rounds}
batch = 1000
learning_rate = 0.01
[evaluation]
every = {rounds}
[protection]
colluders = 1
drops = 1
"""


def job(name, model, rounds):
    types = ", ".join(f'{c} = "number"' for c in COLUMNS)
    bounds = "\n".join(f"{c} = [-1, 1]" for c in COLUMNS)
    return JOB.format(name=name, features=json.dumps(COLUMNS), types=types, bounds=bounds, model=model, rounds=rounds)


def memory(process, field):
    lines = pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field + ":"))


def cpu(process):
    """CPU seconds of a process so far."""
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def written(process):
    """Bytes sent to the disk, and calls that wrote, so far."""
    lines = dict(line.split(": ") for line in pathlib.Path(f"/proc/{process.pid}/io").read_text().splitlines())
    return int(lines["write_bytes"]), int(lines["syscw"])


class Federation:
    def __init__(self, lepton, folder):
        self.lepton, self.folder, self.processes = lepton, folder, []

    def found(self, parties, rows):
        folder = self.folder
        self.names = [f"p{i}" for i in range(parties)]
        self.call("ca", "init", "ca", "--federation", "bench")
        self.call("coordinator", "init", "hub/identity", "--name", "hub", "--ca", "ca")
        expected = json.dumps(self.names)
        text = '[identity]\nfolder = "identity"\n[listen]\naddress = "{}"\n[authority]\nfolder = "../ca"\n[parties]\nexpected = {}\nleast = {}\n[metrics]\nlisten = "off"\n'
        config = folder / "hub/coordinator.toml"
        config.write_text(text.format("127.0.0.1:0", expected, parties))
        self.hub = self.start("coordinator", "hub")
        self.address = self.says("hub", "address=")
        for index, name in enumerate(self.names):
            self.enrol("party", name, f"{name}/identity")
            header = ",".join(COLUMNS + ["y"])
            lines = [",".join([str(((i * 7 + c * 13 + index) % 19 - 9) / 10) for c in range(len(COLUMNS))] + ["yes" if i % 2 else "no"]) for i in range(rows)]
            (folder / name / "rows.csv").write_text("\n".join([header, *lines]) + "\n")
            (folder / name / "party.toml").write_text(
                f'[identity]\nfolder = "identity"\n[coordinator]\naddress = "{self.address}"\n[tables.rows]\npath = "rows.csv"\n[metrics]\nlisten = "off"\n')
            (folder / name / "policy.toml").write_text(
                '[submit]\nroles = ["scientist"]\n[tables.rows]\nmin_rows = 1\n[privacy]\nrequired = false\n[model]\nrounds = 10000\nparameters = 100000000\n[approval]\nperson = "never"\n')
        self.parties = [self.start("party", name) for name in self.names]
        for name in self.names:
            self.says(name, "linked ")
        self.enrol("scientist", "ada", "ada")
        (folder / "federation.toml").write_text(f'[identity]\nfolder = "ada"\n[coordinator]\naddress = "{self.address}"\n')

    def call(self, *words):
        done = subprocess.run([self.lepton, *words], cwd=self.folder, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def enrol(self, role, name, folder):
        # By request and answer: invitations of one address are limited to ten a minute.
        self.call("party", "init", folder, "--federation", "bench", "--role", role, "--name", name)
        self.call("ca", "approve", "ca", f"{folder}/request.csr.pem", "--out", f"{name}.pem")
        self.call("party", "init", folder, "--accept", f"{name}.pem")

    def start(self, role, name):
        with open(self.folder / name / "log", "ab") as log:
            # As the units in deploy/ start it.
            env = os.environ | {"MALLOC_ARENA_MAX": "1"}
            process = subprocess.Popen([self.lepton, role, "run", f"{role}.toml"], cwd=self.folder / name, stdout=log, stderr=log, env=env)
        self.processes.append(process)
        return process

    def says(self, name, text):
        for _ in range(6000):
            for line in (self.folder / name / "log").read_text().splitlines():
                if text in line:
                    return line.split(text)[1].split()[0] if "=" in text else line
            time.sleep(0.01)
        raise SystemExit(f"{name} never said {text!r}")

    def sums(self, folder):
        """How many training sums were opened."""
        path = folder / "events.jsonl"
        text = path.read_text() if path.exists() else ""
        assert '"state":"failed"' not in text, text
        return sum('"summed","kind":"training"' in line for line in text.splitlines())

    def run(self, name, model, rounds):
        """Seconds and CPU seconds for each training exchange from the second on, and what was written for it."""
        (self.folder / f"{name}.toml").write_text(job(name, model, rounds))
        jobs = self.folder / "hub/jobs"
        before = set(jobs.iterdir()) if jobs.exists() else set()
        self.call("run", f"{name}.toml", "--federation", "federation.toml", "--detach")
        folder = next(iter(set(jobs.iterdir()) - before))
        marks = []
        for wanted in (1, rounds):
            while self.sums(folder) < wanted:
                assert self.hub.poll() is None and not any(party.poll() for party in self.parties), "a daemon ended"
                time.sleep(0.02)
            marks.append((time.monotonic(), cpu(self.hub), sum(map(cpu, self.parties)), written(self.hub), written(self.parties[0])))
        first, last = marks
        self.call("job", "watch", name, "--federation", "federation.toml")
        report = json.loads(next(folder.glob("*/report.json")).read_text())
        each = rounds - 1
        return {
            "parameters": report["model"]["parameters"], "seconds": (last[0] - first[0]) / each, "hub_cpu": (last[1] - first[1]) / each,
            "party_cpu": (last[2] - first[2]) / each / len(self.parties),
            "hub_writes": (last[3][1] - first[3][1]) / each, "party_writes": (last[4][1] - first[4][1]) / each,
        }

    def end(self):
        for process in self.processes:
            process.kill()
            process.wait()


def row(*cells):
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


def head(*cells):
    row(*cells)
    row(*["---"] * len(cells))


def bench(flags):
    settings = [("small", 'kind = "logistic"', 200, 20.0), ("thousand", 'kind = "mlp"\nhidden = [57]', 200, 20.0),
                ("million", 'kind = "mlp"\nhidden = [1000, 981]', 6, 500.0)]
    figures = []
    for _ in range(flags.runs):
        with tempfile.TemporaryDirectory() as place:
            federation = Federation(flags.lepton, pathlib.Path(place))
            try:
                federation.found(flags.parties, 8)
                time.sleep(1)
                worst = max(federation.parties, key=lambda party: memory(party, "VmRSS"))
                found = {who + kind: memory(process, kind) for who, process in (("party", worst), ("hub", federation.hub)) for kind in ("VmRSS", "RssAnon")}
                for name, model, rounds, _ in settings:
                    found[name] = federation.run(name, model, rounds)
                    found[name]["hub_peak"] = memory(federation.hub, "VmHWM")
                    found[name]["party_peak"] = max(memory(party, "VmHWM") for party in federation.parties)
                figures.append(found)
            finally:
                federation.end()
    print(f"\n{flags.parties} parties and a coordinator, a process each, on {os.cpu_count()} cores; fastest of {flags.runs}. Peaks are those of the program since its start.\n")
    head("parameters", "time per exchange", "goal", "coordinator CPU", "a party's CPU", "write calls, coordinator and party", "coordinator peak", "a party's peak")
    for name, _, _, goal in settings:
        best = min((run[name] for run in figures), key=lambda run: run["seconds"])
        row(f"{best['parameters']:,}", f"{best['seconds'] * 1e3:.1f} ms", f"{goal:.0f} ms", f"{best['hub_cpu'] * 1e3:.1f} ms", f"{best['party_cpu'] * 1e3:.1f} ms",
            f"{best['hub_writes']:.0f}, {best['party_writes']:.0f}", f"{best['hub_peak'] / MB:.0f} MB", f"{best['party_peak'] / MB:.0f} MB")
    print()
    head("idle", "resident", "goal", "without the pages of the program's file")
    for name, who, goal in (("party, linked", "party", "20 MB"), ("coordinator, all parties linked", "hub", "")):
        resident, own = (min(run[who + kind] for run in figures) / MB for kind in ("VmRSS", "RssAnon"))
        row(name, f"{resident:.1f} MB", goal, f"{own:.1f} MB")


if __name__ == "__main__":
    flags = argparse.ArgumentParser()
    flags.add_argument("--parties", type=int, default=10)
    flags.add_argument("--runs", type=int, default=3)
    flags.add_argument("--lepton", default=str(ROOT / "target/release/lepton"))
    bench(flags.parse_args())
