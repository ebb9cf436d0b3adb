"""What can go wrong, by whose fault it is. Every text says what is wrong, where, and what to do."""


class LeptonError(Exception):
    """Anything that Lepton refuses or fails at."""


class UsageError(LeptonError, ValueError):
    """A call was made wrongly: an argument, an order of calls."""


class JobError(UsageError):
    """The job has problems; the text names line, key and the nearest valid choice."""


class DataError(LeptonError, ValueError):
    """The data do not allow what was asked: shapes, types, missing or infinite numbers, too few rows."""


class RefusedError(LeptonError):
    """A policy or a privacy goal forbids it. Nothing was released."""


class BudgetError(RefusedError):
    """The privacy budget of the data does not cover it. Nothing was released."""


class EnvelopeError(LeptonError, ValueError):
    """An envelope or a key is refused: a wrong key or passphrase, or something was altered."""


class StorageError(LeptonError, OSError):
    """A file cannot be read or written."""


class InternalError(LeptonError, RuntimeError):
    """A fault of Lepton itself; please report it."""


class PrivacyWarning(UserWarning):
    """Something that a caller should know about what is, or is not, protected."""


__all__ = [name for name, thing in list(globals().items()) if isinstance(thing, type) and not name.startswith("_")]
