"""A model's preparation of rows (docs/protocols/preparation.md), from its file: what parties did with theirs, to the bit."""

import decimal
import hashlib

import numpy as np

from lepton_ai.errors import DataError

_OTHER, _MISSING = "(other)", "(missing)"
_FLOAT = float(np.finfo(np.float32).max)


def inputs(preparation: dict) -> list[str]:
    """Names of the inputs, in order: `age`, `age=(missing)`, `plan=gold`, `plan=(other)`."""
    names = []
    for kind, column in map(_kind, preparation["columns"]):
        name = column["name"]
        if kind == "numeric":
            names += [name, f"{name}={_MISSING}"] if _indicates(column) else [name]
        elif column.get("encoding") == "index":
            names.append(name)
        else:
            names += [f"{name}={level}" for level in [*_levels(column), _OTHER, *([_MISSING] if column["missing"] == "level" else [])]]
    return names


def prepared(about: dict, columns: dict) -> np.ndarray:
    """Rows as the model takes them, (rows, inputs) float32; NaN where a row is left out. `columns`: float64 arrays with NaN, or lists of texts and None."""
    key = bytes.fromhex(about["slot_key"]) if about.get("slot_key") else bytes(32)
    parts = []
    for kind, column in map(_kind, about["preparation"]["columns"]):
        if column["name"] not in columns:
            raise DataError(f"column {column['name']!r} is not in this table; check the spelling")
        given = columns[column["name"]]
        parts.append(_numeric(column, given) if kind == "numeric" else _category(column, given, key))
    x = np.concatenate(parts, axis=1)
    x[np.isnan(x).any(axis=1)] = np.nan
    return x


def _kind(column: dict):
    return next(iter(column.items()))


def _indicates(column) -> bool:
    return isinstance(column["missing"], dict) and "indicator" in column["missing"]


def _numeric(column, values) -> np.ndarray:
    if not isinstance(values, np.ndarray):
        raise DataError(f"column {column['name']!r} holds text here, and the model reads it as numbers")
    missing = ~np.isfinite(values)
    _refuse(column, missing)
    fill = next(iter(column["missing"].values())) if isinstance(column["missing"], dict) else np.nan
    filled = np.where(missing, fill, values)
    if column["bounds"] is not None:
        filled = np.clip(filled, *column["bounds"])
    scale = column["scale"]
    if scale != "none":
        kind, figures = _kind(scale)
        low, width = (figures["mean"], figures["std"]) if kind == "standard" else (figures["lo"], figures["hi"] - figures["lo"])
        filled = (filled - low) / width
    found = np.clip(filled, -_FLOAT, _FLOAT).astype(np.float32)
    return np.stack([found, missing.astype(np.float32)], axis=1) if _indicates(column) else found[:, None]


def _category(column, values, key) -> np.ndarray:
    texts = [_number_text(value) for value in values.tolist()] if isinstance(values, np.ndarray) else values
    missing = np.array([text is None for text in texts], dtype=bool)
    _refuse(column, missing)
    others = len(_levels(column))
    place = {text: _place(column, text, key) for text in set(texts) - {None}}
    absent = others + 1 if column["missing"] == "level" else others
    at = np.array([absent if text is None else place[text] for text in texts], dtype=np.int64)
    width = others + 1 + (column["missing"] == "level")
    found = at[:, None].astype(np.float32) if column.get("encoding") == "index" else (at[:, None] == np.arange(width)).astype(np.float32)
    if column["missing"] == "drop":
        found[missing] = np.nan
    return found


def _refuse(column, missing):
    if column["missing"] == "refuse" and missing.any():
        raise DataError(f"row {int(np.argmax(missing)) + 1} has no value in column {column['name']!r}, and the model's job refuses that")


def _levels(column) -> list[str]:
    kind, levels = _kind(column["levels"])
    return list(levels) if kind == "declared" else [f"slot-{slot}" for slot in levels["kept"]]


def _place(column, text, key) -> int:
    """The number of a value's level, the one after the last for "other" (rules PR-02 and PR-04)."""
    kind, levels = _kind(column["levels"])
    known = levels
    if kind == "slots":
        parts = (b"lepton slot", key, column["name"].encode(), text.encode())
        digest = hashlib.sha256(b"".join(len(part).to_bytes(8, "little") + part for part in parts)).digest()
        text, known = int.from_bytes(digest[:8], "big") % max(levels["slots"], 1), levels["kept"]
    return known.index(text) if text in known else len(known)


def _number_text(value: float):
    """A number as the engine writes one that is a category: its shortest form, with an exponent below 1e-5 and from 1e16."""
    if not np.isfinite(value):
        return None
    shortest = decimal.Decimal(repr(float(value) + 0.0))
    if value == 0.0 or 1e-5 <= abs(value) < 1e16:
        return format(shortest, "f").removesuffix(".0")
    sign, digits, exponent = shortest.normalize().as_tuple()
    first, *rest = map(str, digits)
    return f"{'-' * sign}{first}{'.' * bool(rest)}{''.join(rest)}e{exponent + len(rest)}"
