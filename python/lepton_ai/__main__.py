"""The ``lepton`` command, the same program as the one without Python: ``python -m lepton_ai --help``."""

import signal
import sys

from lepton_ai import _native


def main() -> int:
    """Carries out the command line; returns the exit code (0 done, 1 failed, 2 wrong use, 3 refused)."""
    # The command handles Ctrl-C itself, as it does without Python.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return _native.main(["lepton", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
