"""The notebooks of examples/python, made from its scripts: a cell begins at ``# %%``, one of text at ``# %% [markdown]``. No outputs are stored.

    python scripts/notebooks.py            # writes examples/python/notebooks/*.ipynb
    python scripts/notebooks.py --check    # exits 1 where a notebook is not its script's
"""

import json
import pathlib
import sys

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "examples" / "python"
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def notebook(source: str) -> str:
    """The notebook of a script, as its file's text. Lines before the first cell mark are refused, so that none is lost."""
    before, *parts = ("\n" + source).split("\n# %%")
    if before.strip() or not parts:
        raise SystemExit("a script begins with a line `# %%` or `# %% [markdown]`")
    cells = [cell(number, *part.split("\n", 1)) for number, part in enumerate(parts, 1)]
    about = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    return json.dumps({"cells": cells, "metadata": about, "nbformat": 4, "nbformat_minor": 5}, indent=1, ensure_ascii=False) + "\n"


def cell(number: int, mark: str, body: str) -> dict:
    """One cell: ``mark`` is what follows ``# %%`` on its line."""
    kind = {"": "code", "[markdown]": "markdown"}.get(mark.strip())
    if kind is None:
        raise SystemExit(f"`# %%{mark}`: a cell is `# %%` or `# %% [markdown]`")
    lines = body.strip("\n").split("\n")
    if kind == "markdown":
        lines = [line.removeprefix("#").removeprefix(" ") for line in lines]
    source = [line + "\n" for line in lines[:-1]] + lines[-1:]
    more = {"execution_count": None, "outputs": []} if kind == "code" else {}
    return {"cell_type": kind, "id": f"cell-{number}", "metadata": {}, "source": source, **more}


def main(words: list[str]) -> int:
    """Writes the notebooks, or with ``--check`` compares them; the exit status."""
    if words not in ([], ["--check"]):
        print(__doc__, file=sys.stderr)
        return 2
    wanted = {FOLDER / "notebooks" / f"{script.stem}.ipynb": notebook(script.read_text(encoding="utf-8")) for script in sorted(FOLDER.glob("*.py"))}
    stale = [path for path, text in wanted.items() if not path.is_file() or path.read_text(encoding="utf-8") != text]
    orphans = sorted(set((FOLDER / "notebooks").glob("*.ipynb")) - set(wanted))
    if words:
        for path in stale + orphans:
            print(f"{path} is not what its script makes: run python scripts/notebooks.py", file=sys.stderr)
        return 1 if stale or orphans else 0
    (FOLDER / "notebooks").mkdir(exist_ok=True)
    for path in orphans:
        path.unlink()
    for path in stale:
        path.write_text(wanted[path], encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
