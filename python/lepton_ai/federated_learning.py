"""A straight line, or plane, through the rows of several parties."""

import dataclasses

import numpy as np

from lepton_ai import _arrays
from lepton_ai._linear import least_squares


@dataclasses.dataclass(frozen=True)
class LinearModel:
    """``y = coefficients @ x + intercept``, fitted to ``rows`` rows at ``parties`` parties."""

    coefficients: np.ndarray
    intercept: float
    rows: int
    parties: int

    def predict(self, x) -> np.ndarray:
        """One number a row."""
        rows = _arrays.numbers(x, "x")
        return rows.reshape(-1, len(self.coefficients)) @ self.coefficients + self.intercept

    def __str__(self):
        terms = [f"{round(value, 9):.6g} x{number + 1 if len(self.coefficients) > 1 else ''}" for number, value in enumerate(self.coefficients)]
        line = f"y = {' + '.join(terms)} + {round(self.intercept, 9):.6g}".replace("+ -", "- ")
        return f"{line} ({self.rows} rows at {self.parties} parties)"


class FL:
    """Least squares among parties of this process, from masked sums only."""

    def federated_learning(self, x, y, n: int) -> LinearModel:
        """The least-squares fit of ``y`` (rows) by ``x`` (rows, or rows and columns), the rows dealt one by one to ``n`` parties.

        The parties add counts, sums, and then products of what is left after subtracting the means, under masks; the fit follows from the sums and is the one of the
        pooled rows. The sums are exact: nobody sees a party's own, but what one party's rows do to the result is not hidden. Everything happens on this machine.

        >>> print(FL().federated_learning([1, 2, 3, 4], [3, 5, 7, 9], 2))
        y = 2 x + 1 (4 rows at 2 parties)
        """
        rows, target = _arrays.rows_and_target(x, y)
        coefficients, intercept, count = least_squares(rows, target, n)
        return LinearModel(coefficients, intercept, count, int(n))
