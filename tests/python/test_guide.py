"""The pages of docs/guide do what they say: their commands are run with the built program, in order, page by page.

A comment before a block says what it is for:

    <!-- run -->  <!-- run, exit 3 -->   shell commands, in a folder of the page's own, with data/ and examples/ in it
    <!-- shows -->                       text: each line is in what the last commands printed, in order; `…` stands for anything
    <!-- file: PATH -->                  the block is written there
    <!-- daemon: WORD -->                each line is a program that runs until the page ends; the page goes on when it has printed WORD
    <!-- not run: REASON -->             neither

Every block has one. Port 8443 is replaced by a free one.
"""

import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs" / "guide").glob("*.md"))
BLOCK = re.compile(r"(?:^<!-- (?P<mark>[^>]*) -->\n)?^```(?P<language>\w*)\n(?P<body>.*?)^```$", re.M | re.S)
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
        self.port = str(free_port())

    def follow(self, mark, body):
        body = body.replace("8443", self.port)
        kind, _, rest = (part.strip() for part in re.split(r"([:,]|$)", mark, maxsplit=1))
        if kind == "run":
            self.run(body, int(rest.removeprefix("exit ")) if rest else 0)
        elif kind == "shows":
            line = missing_line(body, self.printed)
            assert line is None, f"not printed (in this order): {line!r}\n{self.printed}"
        elif kind == "file":
            path = self.folder / rest
            path.write_text(body, encoding="utf-8")
        elif kind == "daemon":
            logs = [self.start(line) for line in body.splitlines()]
            self.wait(logs, rest)
        else:
            assert kind == "not run" and rest, f"what is a block marked {mark!r} for?"

    def run(self, script, wanted):
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script], cwd=self.folder, env=self.environment, timeout=SECONDS,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )
        self.printed = done.stdout
        assert done.returncode == wanted, f"exit {done.returncode}, not {wanted}:\n{script}\n{done.stdout}"

    def start(self, line):
        log = self.folder / f"daemon-{len(self.daemons)}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                ["bash", "-c", line], cwd=self.folder, env=self.environment,
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
        for mark, language, body in blocks(path.read_text(encoding="utf-8")):
            assert mark, f"{path.name}: a block of {language or 'text'} without a mark:\n{body}"
            page.follow(mark, body)
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
