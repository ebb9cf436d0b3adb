"""Least squares from masked sums: what parties add up, and what follows from the sums."""

import numpy as np

from lepton_ai._arrays import dealt
from lepton_ai.sums import masked_sum


def least_squares(rows: np.ndarray, target: np.ndarray, parties: int, l2: float = 0.0):
    """Coefficients (d), intercept and row count of the least-squares fit, from two masked sums: first counts and sums, from which means follow; then the
    products of what is left. ``l2`` is a ridge penalty on the coefficients, per row. Where the columns do not determine the fit, it is the one of least norm.
    """
    hands = dealt(len(rows), parties)
    table = np.column_stack([rows, target])
    first = masked_sum([np.append(table[hand].sum(axis=0), len(hand)) for hand in hands])
    count = int(round(first[-1]))
    mean = first[:-1] / count
    centred = [table[hand] - mean for hand in hands]
    width = table.shape[1]
    pairs = np.triu_indices(width)
    second = masked_sum([(part.T @ part)[pairs] for part in centred])
    moments = np.zeros((width, width))
    moments[pairs] = second
    moments = np.triu(moments) + np.triu(moments, 1).T
    gram, cross = moments[:-1, :-1], moments[:-1, -1]
    if l2:
        coefficients = np.linalg.solve(gram + l2 * count * np.eye(width - 1), cross)
    else:
        coefficients = np.linalg.lstsq(gram, cross, rcond=1e-12)[0]
    return coefficients, float(mean[-1] - mean[:-1] @ coefficients), count
