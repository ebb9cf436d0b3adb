"""Tables for jobs: files, or objects of numpy, pandas, pyarrow, polars and everything else with an Arrow C stream."""

import os
import pathlib

import numpy as np

from lepton_ai import _native
from lepton_ai.errors import DataError, UsageError


class Dataset:
    """A table: one column a name, numbers or categories.

    ``source``: a path (CSV, Parquet, Arrow IPC, JSON Lines; ``VAULT/TABLE`` with a key file), a pandas or polars frame, a pyarrow table, a mapping of names to
    columns, or an array of shape (rows, columns) with the names in ``columns`` (otherwise x1, x2, ..). ``target`` adds a column named ``label``; classes
    are written as text.

    In a table, NaN and None are missing cells, which the job's ``prepare.missing`` decides about; numbers may be float, integer (up to 2**53) or bool
    (0 and 1); everything else is a category, as text. Objects are read when a job begins, and written as an Arrow file into a folder of mode 0700
    that goes when the job ends: while it runs they lie on this machine's disk in clear, unless the temporary folder is encrypted.

    >>> Dataset({"age": [41, 23], "plan": ["gold", None]})
    Dataset(2 columns: age, plan)
    """

    def __init__(self, source, *, columns=None, target=None, label: str = "label"):
        if isinstance(source, Dataset):
            source = source._source
        if isinstance(source, (str, os.PathLike)):
            if target is not None or columns is not None:
                raise UsageError("a table in a file has its columns in the file; leave out columns and target")
            self._source = pathlib.Path(source)
        elif _is_frame(source) or isinstance(source, dict):
            self._source = {str(name): _column(source[name], name) for name in source}
        elif hasattr(source, "__arrow_c_stream__"):
            self._source = source
        else:
            self._source = _of_array(source, columns)
        if target is not None:
            if not isinstance(self._source, dict):
                raise UsageError("target goes with arrays, mappings and pandas frames")
            self._source[label] = _target(target)
        if isinstance(self._source, dict):
            _same_length(self._source)

    def __repr__(self):
        if isinstance(self._source, pathlib.Path):
            return f"Dataset({str(self._source)!r})"
        if isinstance(self._source, dict):
            return f"Dataset({len(self._source)} columns: {', '.join(self._source)})"
        return f"Dataset({type(self._source).__name__})"

    def _path(self, folder: pathlib.Path, stem: str) -> pathlib.Path:
        """Where the engine reads it: its own file, or one made in ``folder``."""
        if isinstance(self._source, pathlib.Path):
            return self._source.absolute()
        path = folder / f"{stem}.arrow"
        if isinstance(self._source, dict):
            _native.write_columns(path, list(self._source.items()))
        else:
            _native.write_stream(path, self._source.__arrow_c_stream__())
        return path


def _is_frame(source) -> bool:
    return type(source).__module__.split(".")[0] == "pandas" and hasattr(source, "columns")


def _of_array(source, columns) -> dict:
    array = np.asarray(source)
    if array.dtype.names:
        return {name: _column(array[name], name) for name in array.dtype.names}
    if array.ndim != 2:
        raise DataError(f"a table has rows and columns; this has the shape {array.shape}")
    names = [f"x{number + 1}" for number in range(array.shape[1])] if columns is None else [str(name) for name in columns]
    if len(names) != array.shape[1] or len(set(names)) != len(names):
        raise DataError(f"{array.shape[1]} columns need as many different names, not {names}")
    return {name: _column(array[:, index], name) for index, name in enumerate(names)}


def _column(values, name):
    """Numbers as float64, or texts and None."""
    array = np.asarray(values)
    if array.ndim != 1:
        raise DataError(f"column {name}: one value a row is wanted, not the shape {array.shape}")
    if array.dtype.kind in "iu" and array.size and max(abs(int(array.max())), abs(int(array.min()))) > 2**53:
        raise DataError(f"column {name}: whole numbers beyond 2**53 would be rounded; hand them over as text")
    if array.dtype.kind in "biuf":
        return np.ascontiguousarray(array, dtype=np.float64)
    cells = [None if _missing(value) else value for value in array.tolist()]
    if all(value is None or (isinstance(value, (int, float)) and not isinstance(value, bool)) for value in cells):
        return np.array([np.nan if value is None else float(value) for value in cells], dtype=np.float64)
    return [None if value is None else _text(value, name) for value in cells]


def _missing(value) -> bool:
    return value is None or value != value or type(value).__name__ in ("NAType", "NaTType")


def _text(value, name) -> str:
    if isinstance(value, bytes):
        raise DataError(f"column {name} has bytes; decode them first")
    return str(value)


def _target(values):
    """A label column: numbers stay numbers, everything else is text."""
    return _column(values, "target")


def _same_length(columns: dict) -> None:
    lengths = {name: len(values) for name, values in columns.items()}
    if not lengths:
        raise DataError("a table without columns")
    if len(set(lengths.values())) > 1:
        raise DataError(f"the columns differ in length: {lengths}")
