"""The four shops of docs/guide/federation-at-your-desk.md, set up as the page says, for jobs of other tests."""

from test_guide import ROOT, blocks

GUIDE = ROOT / "docs" / "guide" / "federation-at-your-desk.md"
COLUMNS = ["tenure", "monthly_charges"]


def set_up(page, change=lambda mark, body: body):
    """Follows the guide up to its first job. ``change`` gives the text of a block as it is to be followed."""
    for mark, _, body in blocks(GUIDE.read_text(encoding="utf-8")):
        if "--federation federation.toml" in body:
            return
        page.follow(mark, change(mark, body))
    raise AssertionError("the guide submits no job any more")


def job(name, **tables):
    """A job on the shops' customers, whole, so that a federation takes it: which will leave, by two numbers."""
    data = {
        "table": "telecom_churn.csv",
        "label": "churn",
        "classes": ["No", "Yes"],
        "features": COLUMNS,
        "types": {"churn": "category", **dict.fromkeys(COLUMNS, "number")},
    }
    return {"job": {"name": name}, "data": data, "prepare": {"missing": "mean"}, **tables}
