"""Jobs as TOML: what a mapping of Python says, written for the engine to read."""

import math
import pathlib
import re

from lepton_ai.errors import UsageError


def job_text(job: dict) -> str:
    """A mapping of tables as TOML; ``None`` is left out.

    >>> print(job_text({"job": {"name": "a"}, "data": {"split": {"by": "even", "parties": 3}}}))
    "job" = { "name" = "a" }
    "data" = { "split" = { "by" = "even", "parties" = 3 } }
    """
    return "\n".join(f"{_key(name)} = {_value(value, name)}" for name, value in job.items() if value is not None)


def set_text(key: str, value) -> str:
    """``--set`` for one key: ``key=value``."""
    return f"{key}={_value(value, key)}"


def anchored(text: str, folder: pathlib.Path) -> str:
    """The job with its relative table paths made absolute from ``folder``."""

    def absolute(found):
        return f"{found.group(1)}{_value(str(folder / found.group(2)), 'table')}"

    return re.sub(r'(?m)^(\s*table\s*=\s*)"([^"]*)"', absolute, text)


def _key(name) -> str:
    return _value(str(name), name)


def _value(value, name) -> str:
    if hasattr(value, "item") and not isinstance(value, (list, dict, str)) and getattr(value, "ndim", 1) == 0:
        value = value.item()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise UsageError(f"{name}: {value} is no number for a job")
        return repr(value)
    if isinstance(value, (str, pathlib.PurePath)):
        escaped = "".join(letter if letter.isprintable() and letter not in '"\\' else f"\\U{ord(letter):08X}" for letter in str(value))
        return f'"{escaped}"'
    if isinstance(value, dict):
        inner = ", ".join(f"{_key(key)} = {_value(inner, key)}" for key, inner in value.items() if inner is not None)
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_value(inner, name) for inner in value)}]"
    if hasattr(value, "tolist"):
        return _value(value.tolist(), name)
    raise UsageError(f"{name}: a {type(value).__name__} cannot stand in a job")
