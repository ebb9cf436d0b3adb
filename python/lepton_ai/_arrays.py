"""Numbers from whatever the caller has, checked."""

import numpy as np

from lepton_ai.errors import DataError


def numbers(value, name: str, dims: int | None = None) -> np.ndarray:
    """A float64 array, contiguous, finite, with ``dims`` axes. Refuses anything else with a :class:`DataError` that names ``name``.

    >>> numbers([[1, 2], [3, 4]], "x", 2)
    array([[1., 2.],
           [3., 4.]])
    """
    if isinstance(value, (str, bytes)):
        raise DataError(f"{name} must hold numbers and is a text; give a list or an array of numbers")
    try:
        raw = np.asarray(value)
    except ValueError as error:
        raise DataError(f"{name} is no array: its rows differ in length ({error})") from None
    if raw.dtype.kind not in "biuf":
        try:
            if raw.dtype.kind != "O":
                raise TypeError
            raw = raw.astype(np.float64)
        except (TypeError, ValueError):
            raise DataError(f"{name} must hold real numbers and has the dtype {raw.dtype}; convert it first") from None
    if raw.dtype.kind in "iu" and raw.size and max(abs(int(raw.max())), abs(int(raw.min()))) > 2**53:
        raise DataError(f"{name} has whole numbers beyond 2**53, which would be rounded; scale them down first")
    array = np.ascontiguousarray(raw, dtype=np.float64) if raw.ndim else np.asarray(raw, dtype=np.float64)
    if dims is not None and array.ndim != dims:
        raise DataError(f"{name} must have {dims} axes and has {array.ndim} (shape {array.shape})")
    if not np.isfinite(array).all():
        where = np.argwhere(~np.isfinite(array))[0].tolist()
        raise DataError(f"{name} has a missing or infinite number at {where}; fill it in or leave the row out")
    return array


def rows_and_target(x, y, names=("x", "y")) -> tuple[np.ndarray, np.ndarray]:
    """Rows (n, d) and one number each (n). A flat ``x`` is one column."""
    rows = numbers(x, names[0])
    if rows.ndim == 1:
        rows = rows.reshape(-1, 1)
    if rows.ndim != 2:
        raise DataError(f"{names[0]} must have rows and columns and has the shape {rows.shape}")
    target = numbers(y, names[1], 1)
    if len(rows) != len(target):
        raise DataError(f"{names[0]} has {len(rows)} rows and {names[1]} has {len(target)}; they must agree")
    return rows, target


def dealt(count: int, parties: int) -> list[np.ndarray]:
    """Indexes 0 .. count-1 dealt one by one to ``parties`` parties. Refuses fewer than two parties, and more parties than rows."""
    if isinstance(parties, bool) or not isinstance(parties, (int, np.integer)) or parties < 2:
        raise DataError(f"a federation has at least 2 parties, not {parties!r}")
    if count < parties:
        raise DataError(f"{count} rows cannot be dealt to {parties} parties; each needs one")
    return [np.arange(party, count, parties) for party in range(parties)]
