"""The pages do what they say: commands of the tutorial, the how-tos and the README are run with the built program, in order, page by page.

A comment before a block says what it is for:

    <!-- run -->  <!-- run, exit 3 -->   shell commands or Python, in a folder of the page's own, with data/ and examples/ in it
    <!-- shows -->                       text: each line is in what the last commands printed, in order; `…` stands for anything
    <!-- file: PATH -->                  the block is written there
    <!-- daemon: WORD -->                each line is a program that runs until the page ends; the page goes on when it has printed WORD
    <!-- not run: REASON -->             neither

Every block has one. `, at p0` at the end of a mark says on whose machine: a folder of that name. What is said of p0 is done at PARTIES, as the page tells
the others to. READER is what a page takes the reader to have. Ports are replaced by free ones, and the coordinator's host by this machine.
"""

import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
HOW_TOS = ("data", "deployment", "encryption", "json", "ledger", "operations", "privacy-report", "vault")
PAGES = [*sorted((ROOT / "docs" / "guide").glob("*.md")), *(ROOT / "docs" / f"{name}.md" for name in HOW_TOS), ROOT / "README.md"]
PARTIES = ("p0", "p1", "p2", "p3", "p4")
READER = {
    "README": """
        cp data/breast_cancer.csv table.csv
        for name in north south west; do cp table.csv $name.csv; done
        head -n 20 table.csv > new_rows.csv; echo one,two > data.csv
    """,
    "encryption": "echo one,two > data.csv; mkdir folder; cp data.csv folder; openssl genpkey -algorithm x25519 -out openssl.pem",
    "json": "sed 's|../../data|data|' examples/churn/job.toml > job.toml",
    "ledger": "mkdir customers; awk 'NR == 1 || NR % 2' data/telecom_churn.csv > customers.csv; awk -F, -v OFS=, 'NR > 1 { $19 += 0.01 } 1' customers.csv > customers-2027.csv",
    "operations": """
        for i in 0 1 2 3 4; do
            mkdir p$i
            awk -v party=$i 'NR == 1 || NR % 5 == party' data/telecom_churn.csv > p$i/churn.csv
        done
        mkdir ada; cp -r data examples ada
    """,
    "vault": "cp data/telecom_churn.csv churn.csv",
}
BLOCK = re.compile(r"(?:^<!-- (?P<mark>[^>]*) -->\n)?^```(?P<language>\w*)\n(?P<body>.*?)^```$", re.M | re.S)
MARK = re.compile(r"(?P<kind>[a-z ]+?)(?:, exit (?P<exit>\d+)|: (?P<rest>.*?))?(?:, at (?P<place>\w+))?")
SECONDS = 120


def blocks(text):
    """Marks and bodies of a page's code blocks."""
    return [((match["mark"] or ""), match["language"], match["body"]) for match in BLOCK.finditer(text)]


def missing_line(wanted, printed):
    """The first line of `wanted` that does not follow the ones before it in `printed`, or None."""
    lines = iter(printed.splitlines())
    for line in filter(None, wanted.splitlines()):
        pattern = re.compile(".*".join(map(re.escape, line.rstrip().split("…"))))
        if not any(pattern.fullmatch(have.rstrip()) for have in lines):
            return line
    return None


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Page:
    """A page being followed."""

    def __init__(self, folder, program):
        self.folder, self.printed, self.daemons = folder, "", []
        (folder / "bin").mkdir()
        (folder / "bin" / "lepton").symlink_to(program)
        for name in ("data", "examples"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("runs"))
        self.environment = os.environ | {"PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"}
        (folder / "target").mkdir()
        (folder / "target" / "release").symlink_to(folder / "bin")
        self.replaced = {"8443": str(free_port()), "9464": str(free_port()), "coordinator.example.org": "127.0.0.1", "0.0.0.0": "127.0.0.1"}

    def follow(self, mark, body, language="sh"):
        found = MARK.fullmatch(mark)
        assert found, f"what is a block marked {mark!r} for?"
        for written, here in self.replaced.items():
            body = body.replace(written, here)
        kind, place, rest = found["kind"], found["place"], found["rest"]
        if kind == "daemon":
            logs = [self.start(line, name) for name, text in self.places(place, body) for line in text.splitlines()]
            self.wait(logs, rest)
            return
        for name, text in self.places(place, body):
            folder = self.folder / name
            for letter in self.folder.glob(f"{name}.invitation"):  # the channel that nobody else reads
                shutil.copy(letter, folder)
            if kind == "run":
                self.run(text, int(found["exit"] or 0), folder, language)
            elif kind == "file":
                (folder / rest).write_text(text + self.figures(rest, text, name), encoding="utf-8")
            elif kind == "shows":
                line = missing_line(text, self.printed)
                assert line is None, f"not printed (in this order): {line!r}\n{self.printed}"
            else:
                assert kind == "not run" and rest, f"what is a block marked {mark!r} for?"

    def figures(self, file, text, place):
        """Where a daemon serves its figures, if the page leaves that open: only the first party's, for all machines are this one."""
        if "[metrics]" in text or file not in ("coordinator.toml", "party.toml"):
            return ""
        return f'[metrics]\nlisten = "{"127.0.0.1:" + self.replaced["9464"] if place == PARTIES[0] else "off"}"\n'

    def places(self, place, body):
        """The machines where a block is done, and what it says there; the first party's last."""
        if place != PARTIES[0]:
            return [(place or "", body)]
        return [(name, body.replace(place, name)) for name in PARTIES[::-1]]

    def run(self, script, wanted, folder=None, language="sh"):
        command = [sys.executable, "-c"] if language == "python" else ["bash", "-euo", "pipefail", "-c"]
        done = subprocess.run(
            [*command, script], cwd=folder or self.folder, env=self.environment, timeout=SECONDS,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )
        self.printed = done.stdout
        assert done.returncode == wanted, f"exit {done.returncode}, not {wanted}:\n{script}\n{done.stdout}"

    def start(self, line, place):
        log = self.folder / f"daemon-{len(self.daemons)}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                ["bash", "-c", line], cwd=self.folder / place, env=self.environment,
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
            )
        self.daemons.append(process)
        return process, log

    def wait(self, logs, word):
        end = time.monotonic() + SECONDS
        for process, log in logs:
            while word not in (text := log.read_text(encoding="utf-8")):
                assert process.poll() is None, f"ended:\n{text}"
                assert time.monotonic() < end, f"never said {word!r}:\n{text}"
                time.sleep(0.05)

    def end(self):
        for process in self.daemons:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=SECONDS)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_page_does_what_it_says(path, tmp_path):
    program = os.environ.get("LEPTON_BIN")
    assert program, "set LEPTON_BIN to the built program; ./test does"
    page = Page(tmp_path, pathlib.Path(program).resolve())
    try:
        page.run(READER.get(path.stem, ""), 0)
        for mark, language, body in blocks(path.read_text(encoding="utf-8")):
            assert mark, f"{path.name}: a block of {language or 'text'} without a mark:\n{body}"
            page.follow(mark, body, language)
    finally:
        page.end()


def test_there_are_pages_with_commands():
    marks = [mark for path in PAGES for mark, _, _ in blocks(path.read_text(encoding="utf-8"))]
    assert sum(mark.startswith("run") for mark in marks) >= 15


def test_lines_are_looked_for_in_order():
    printed = "one 1.5\nnext\nthree\n"
    assert missing_line("one …\nthree\n", printed) is None
    assert missing_line("three\none …\n", printed) == "one …"
    assert missing_line("one 1\n", printed) == "one 1"
    assert missing_line("…ne…\n\n", printed) is None


def test_blocks_are_found_with_their_marks():
    text = "a\n<!-- run, exit 3 -->\n```sh\nx\ny\n```\nb\n```toml\nz\n```\n"
    assert blocks(text) == [("run, exit 3", "sh", "x\ny\n"), ("", "toml", "z\n")]


def test_what_fails_is_noticed(tmp_path):
    page = Page(tmp_path, pathlib.Path("/bin/true"))
    with pytest.raises(AssertionError):
        page.follow("run", "false | true\n")
    with pytest.raises(AssertionError):
        page.follow("run, exit 3", "exit 2\n")
    page.follow("run", "echo hello\n")
    with pytest.raises(AssertionError):
        page.follow("shows", "hullo\n")
    with pytest.raises(AssertionError):
        page.follow("runs", "echo\n")
    with pytest.raises(AssertionError):
        page.follow("daemon: up", "exit 1\n")
    page.end()
