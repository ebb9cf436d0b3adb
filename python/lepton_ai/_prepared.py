"""A model's preparation of rows (docs/protocols/preparation.md), from its file: what parties did with theirs, to the bit."""

import decimal
import hashlib

import numpy as np

from lepton_ai.errors import DataError, UsageError

_OTHER, _MISSING = "(other)", "(missing)"
_NO_VALUE = ("", "NA", "N/A", "null", "NaN", "None", "?")
# Unicode's White_Space.
_SPACE = "\t\n\x0b\x0c\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
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


def columns_of(stream) -> dict:
    """Columns as :func:`prepared` takes them, from an object with an Arrow C stream."""
    try:
        import pyarrow
    except ImportError as error:
        raise UsageError("rows in Arrow's form need pyarrow (pip install pyarrow), or hand them over as a pandas frame or a mapping of columns") from error
    return {name: _arrow(pyarrow, column, name) for name, column in _named(pyarrow.table(stream))}


def _named(table):
    if len(set(table.column_names)) < table.num_columns:
        raise DataError("two columns have the same name")
    return zip(table.column_names, table.columns)


def _arrow(pyarrow, column, name):
    """Numbers as float64 with NaN, or texts and None, as the engine reads them from an Arrow file."""
    kinds, kind = pyarrow.types, column.type
    if kinds.is_dictionary(kind):
        return _arrow(pyarrow, column.cast(kind.value_type), name)
    cells = column.to_pylist()
    if kinds.is_integer(kind) or kinds.is_floating(kind):
        if kinds.is_integer(kind) and max((abs(cell) for cell in cells if cell is not None), default=0) > 2**53:
            raise DataError(f"column {name}: whole numbers beyond 2**53 would be rounded; hand them over as text")
        return np.array([np.nan if cell is None else cell for cell in cells], dtype=np.float64)
    if kinds.is_boolean(kind) or kinds.is_null(kind):
        return [None if cell is None else str(cell).lower() for cell in cells]
    if kinds.is_string(kind) or kinds.is_large_string(kind) or kind == pyarrow.string_view():
        return cells
    raise DataError(f"column {name!r} is {kind}; hand it over as numbers or text")


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
    texts = [_number_text(value) for value in values.tolist()] if isinstance(values, np.ndarray) else [_cleaned(text) for text in values]
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


def _cleaned(text):
    """A cell's text as the engine reads it: without space around it, None where it says that there is no value."""
    text = None if text is None else text.strip(_SPACE)
    return None if text in _NO_VALUE else text


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
