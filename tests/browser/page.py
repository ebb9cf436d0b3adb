"""Opens a local page in headless Chromium over its debugging pipe: no port, no driver, no package."""

import base64
import contextlib
import json
import os
import subprocess
import tempfile
import time
import zlib

FLAGS = [
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-first-run",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--window-size=1100,1400",
]


class Look:
    """What a browser saw: text, headings, counts of elements, picture, complaints, requests."""

    def __init__(self):
        self.text = ""
        self.headings = []
        self.pictures = 0
        self.overflow = 0
        self.png = b""
        self.complaints = []
        self.requests = []


@contextlib.contextmanager
def _browser(program):
    to_browser, our_out = os.pipe()
    our_in, from_browser = os.pipe()

    def as_three_and_four():  # the pipe's fixed descriptors; the copies keep them from being overwritten
        reading, writing = os.dup(to_browser), os.dup(from_browser)
        os.dup2(reading, 3)
        os.dup2(writing, 4)

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        flags = FLAGS + (["--no-sandbox"] if os.geteuid() == 0 else [])
        process = subprocess.Popen(
            [program, *flags, f"--user-data-dir={profile}", "about:blank"],
            preexec_fn=as_three_and_four,
            close_fds=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_browser)
        os.close(from_browser)
        try:
            yield our_in, our_out
        finally:
            os.close(our_out)
            os.close(our_in)
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


class _Session:
    def __init__(self, pipe_in, pipe_out, look):
        self.pipe_in, self.pipe_out, self.look = pipe_in, pipe_out, look
        self.buffer, self.number, self.session, self.loaded = b"", 0, None, False
        os.set_blocking(pipe_in, False)

    def call(self, method, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.pipe_out, json.dumps(message).encode() + b"\0")
        return self._until(lambda answer: answer.get("id") == self.number).get("result", {})

    def wait_loaded(self):
        if not self.loaded:
            self._until(lambda _: self.loaded)

    def evaluate(self, expression):
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        return answer["result"].get("value")

    def _until(self, wanted):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            while b"\0" in self.buffer:
                line, self.buffer = self.buffer.split(b"\0", 1)
                message = json.loads(line)
                self._note(message.get("method"), message.get("params", {}))
                assert "error" not in message, message
                if wanted(message):
                    return message
            try:
                piece = os.read(self.pipe_in, 1 << 20)
                assert piece, "the browser closed its pipe"
                self.buffer += piece
            except BlockingIOError:
                time.sleep(0.01)
        raise AssertionError("the browser did not answer within a minute")

    def _note(self, method, parameters):
        if method == "Runtime.exceptionThrown":
            self.look.complaints.append(parameters["exceptionDetails"].get("text", "exception"))
        elif method == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "warning", "assert"):
            self.look.complaints.append(str(parameters["args"]))
        elif method == "Log.entryAdded" and parameters["entry"]["level"] in ("error", "warning"):
            self.look.complaints.append(parameters["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            self.look.requests.append(parameters["request"]["url"])
        elif method == "Page.loadEventFired":
            self.loaded = True


def look_at(program, page):
    """Opens `page` (a file) and tells what was seen."""
    look = Look()
    with _browser(program) as (pipe_in, pipe_out):
        session = _Session(pipe_in, pipe_out, look)
        target = session.call("Target.createTarget", url="about:blank")["targetId"]
        session.session = session.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            session.call(f"{domain}.enable")
        session.loaded = False
        session.call("Page.navigate", url=page.resolve().as_uri())
        session.wait_loaded()
        look.text = session.evaluate("document.body.innerText")
        look.headings = session.evaluate("[...document.querySelectorAll('h1,h2,h3')].map(h => h.innerText)")
        look.pictures = session.evaluate(
            "[...document.querySelectorAll('svg,canvas,img')]"
            ".filter(e => e.getBoundingClientRect().width > 0 && e.getBoundingClientRect().height > 0).length"
        )
        look.overflow = session.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        look.png = base64.b64decode(session.call("Page.captureScreenshot", captureBeyondViewport=True)["data"])
    return look


def shades(png):
    """Number of different byte values in a PNG's (still filtered) pixels: a handful if the picture is blank."""
    at, packed = 8, b""
    while at < len(png):
        length = int.from_bytes(png[at : at + 4], "big")
        if png[at + 4 : at + 8] == b"IDAT":
            packed += png[at + 8 : at + 8 + length]
        at += 12 + length
    return len(set(zlib.decompress(packed)))


def faults(look, page):
    """Everything that a self-contained, rendered page may not show."""
    own = page.resolve().as_uri()
    outside = [url for url in look.requests if url != own and not url.startswith(("data:", "about:"))]
    found = [f"asks for {url}" for url in outside]
    found += [f"complains: {text}" for text in look.complaints]
    if shades(look.png) < 32:
        found.append("renders blank")
    return found
