"""Warnings that are given once a process and place."""

import warnings

from lepton_ai.errors import PrivacyWarning

_said = set()


def warn_once(text: str) -> None:
    """Warns with a :class:`PrivacyWarning`, but the second time the same text is due, says nothing."""
    if text not in _said:
        warnings.warn(text, PrivacyWarning, stacklevel=3)
        # Only now: where warnings are errors, it was not said if it was caught.
        _said.add(text)
