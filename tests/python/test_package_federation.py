"""A real federation of daemons on this machine, as the guide sets it up, used from Python."""

import os
import pathlib

import pytest

if os.environ.get("CI") != "true":
    pytest.importorskip("lepton_ai")
import lepton_ai
import shops
from test_guide import Page


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """Ada's desk of the guide, four shops behind it."""
    page = Page(tmp_path, pathlib.Path(os.environ["LEPTON_BIN"]).resolve())
    try:
        shops.set_up(page)
        monkeypatch.chdir(tmp_path)
        yield lepton_ai.Federation("federation.toml")
    finally:
        page.end()


def test_a_job_is_submitted_waited_for_and_fetched(desk, tmp_path):
    job = desk.submit("rehearsal/job.toml", set={"training.rounds": 3})
    assert desk.wait(job, every=0.2)["name"] == "churn"
    run = desk.fetch(job, tmp_path / "fetched")
    assert run.report["rounds"] == 3 and 0 < run.privacy["epsilon"] <= 3
    assert len(run.model.predict("data/telecom_churn.csv")) == 7043
    assert [line["state"] for line in desk.jobs()] == ["finished"]
    greedy = desk.submit("rehearsal/job.toml", set={"privacy.epsilon": 4, "job.name": "again"})
    with pytest.raises(lepton_ai.RefusedError, match="the policy allows 3"):
        desk.wait(greedy, every=0.2)
    with pytest.raises(lepton_ai.UsageError, match="no job"):
        desk.wait("absent")
    with pytest.raises(lepton_ai.LeptonError):
        lepton_ai.Federation("absent.toml").jobs()
