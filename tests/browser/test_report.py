"""The report opens in a browser as it is: rendered, complete, silent, asking nobody for anything."""

import os
import re

import pytest

import page as browser


@pytest.fixture(scope="session")
def chromium():
    program = os.environ.get("CHROMIUM")
    assert program, "set CHROMIUM to the browser's program; ./test does"
    return program


def test_report_renders(chromium, run, tmp_path):
    look = browser.look_at(chromium, run.page)
    (tmp_path / "report.png").write_bytes(look.png)
    assert browser.faults(look, run.page) == []
    assert len(look.headings) >= 5, look.headings
    assert look.pictures >= 2, "the curves and the confusion matrix are pictures"
    assert look.overflow <= 0, f"the page is {look.overflow} px wider than the window"


def test_report_tells_what_the_document_tells(chromium, run):
    text = browser.look_at(chromium, run.page).text.lower()
    assert run.report["name"].lower() in text
    for party in run.report["parties"]:
        assert str(party["name"]).lower() in text, party
    for section in ("privacy", "confusion", "importance", "part(y|ies)"):
        assert re.search(section, text), f"no word about {section}"
    for weakness in run.report.get("insecure", []):
        assert weakness.lower() in text, "everything insecure is shown"


GOOD = "<!doctype html><title>t</title><body style='background:linear-gradient(red,blue)'><h1>x</h1>"


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (GOOD, None),
        ("<!doctype html><title>t</title><body>", "blank"),
        (GOOD + "<script>throw new Error('no')</script>", "complains"),
        (GOOD + "<script>console.error('no')</script>", "complains"),
        (GOOD + "<img src='https://example.org/x.png'>", "asks for https://example.org"),
        (GOOD + "<link rel=stylesheet href='https://example.org/x.css'>", "asks for https://example.org"),
    ],
)
def test_the_checks_see_faults(chromium, tmp_path, body, fault):
    path = tmp_path / "page.html"
    path.write_text(body, encoding="utf-8")
    found = browser.faults(browser.look_at(chromium, path), path)
    if fault is None:
        assert found == []
    else:
        assert any(fault in text for text in found), found
