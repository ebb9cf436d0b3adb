"""The arithmetic of boosted trees from histograms (Chen and Guestrin 2016, section 3), on numpy arrays; the party's side is in `lepton_ai.xgboost`.

Every sum that decides a split is a running sum in one fixed order, and every other operation is on single numbers: parties that hold the same arrays get the
same bits on every machine.
"""

import hashlib

import numpy as np

# Gains that differ by less, relatively, count as equal: the first feature and bin win. Sums in fixed point are exact to about as much.
_TIE = 3e-5
# XGBoost's kRtEps: gains up to it are no gains.
_NO_GAIN = 1e-6
_LEAST_HESSIAN = 1e-16


def edges(low, high, features: int, bins: int) -> np.ndarray:
    """The inner edges of bins of equal width, (features, bins - 1), float32."""
    low, high = (np.broadcast_to(np.asarray(end, dtype=np.float64), (features,)) for end in (low, high))
    return (low[:, None] + (high - low)[:, None] * np.arange(1, bins) / bins).astype(np.float32)


def binned(x, inner_edges) -> np.ndarray:
    """The bin of each value: how many edges are at or below it, so that `bin <= b` says `x < edge b` in float32."""
    x = np.asarray(x, dtype=np.float32)
    found = np.empty(x.shape, dtype=np.int32)
    for feature, own in enumerate(inner_edges):
        found[:, feature] = np.searchsorted(own, x[:, feature], side="right")
    return found


def slopes(objective: str, margins, y):
    """Gradients and hessians of the loss by the margins, both (rows, outputs)."""
    if objective == "reg:squarederror":
        return margins - y[:, None], np.ones_like(margins)
    shares = shares_of(objective, margins)
    wanted = np.arange(margins.shape[1]) == y[:, None] if margins.shape[1] > 1 else y[:, None]
    # XGBoost's softmax has twice the diagonal of the hessian.
    factor = 2.0 if margins.shape[1] > 1 else 1.0
    return shares - wanted, np.maximum(factor * shares * (1.0 - shares), _LEAST_HESSIAN)


def shares_of(objective: str, margins) -> np.ndarray:
    """What the margins predict: values, shares of the second class, or shares of all."""
    if objective == "reg:squarederror":
        return margins
    if objective == "binary:logistic":
        return 1.0 / (1.0 + np.exp(-margins))
    powers = np.exp(margins - margins.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def histogram(rows_binned, nodes, slopes_of, shape) -> np.ndarray:
    """Sums of (gradient, hessian) over these rows by node, feature and bin: an array of `shape` = (nodes, features, bins, 2). Node -1 is no node."""
    width, features, bins, _ = shape
    inside = nodes >= 0
    place = nodes[inside] * bins
    found = np.empty(shape)
    for feature in range(features):
        at = place + rows_binned[inside, feature]
        for part, values in enumerate(slopes_of):
            found[:, feature, :, part] = np.bincount(at, weights=values[inside], minlength=width * bins).reshape(width, bins)
    return found


def nodes_at(rows_binned, splits, level: int, bins: int):
    """The node of each row in a tree after `level` levels, and whether it went all the way down (it did not where a node above is no longer split)."""
    nodes = np.zeros(len(rows_binned), dtype=np.int64)
    going = np.ones(len(rows_binned), dtype=bool)
    for _ in range(level):
        codes = np.where(going, splits[np.where(going, nodes, 0)], 0)
        going = going & (codes > 0)
        feature, last = np.divmod(np.maximum(codes - 1, 0), bins - 1)
        right = rows_binned[np.arange(len(nodes)), feature] > last
        nodes = np.where(going, 2 * nodes + 1 + right, nodes)
    return nodes, going


class Rule:
    """What decides splits and leaves, in XGBoost's names. `known`: sums of hessians up to it may be nothing but rounding."""

    def __init__(self, learning_rate, reg_lambda, gamma, min_child_weight, known):
        self.eta, self.reg_lambda, self.gamma = learning_rate, reg_lambda, gamma
        # A number of rows is a sum of hessians of 1 and may be a little short of it.
        self.least, self.known = min_child_weight * (1.0 - 1e-5), known

    def value(self, gradient, hessian):
        """What a leaf adds to the margin."""
        return -self.eta * gradient / (hessian + self.reg_lambda) if hessian > self.known else 0.0

    def best(self, sums):
        """The best split of one node from its sums (features, bins, 2): code (0: none), gain, sums of the left and of the right child."""
        below = np.cumsum(sums, axis=1)
        whole = below[:, -1:, :]
        left, right = below[:, :-1, :], whole - below[:, :-1, :]
        fits = [(side[..., 1] > self.known) & (side[..., 1] >= self.least) for side in (left, right)]
        gains = self._score(left) + self._score(right) - self._score(whole)
        gains = np.where(fits[0] & fits[1], gains, -np.inf).reshape(-1)
        most = gains.max(initial=-np.inf)
        if not (most > _NO_GAIN and most >= self.gamma):
            return 0, 0.0, None, None
        at = int(np.argmax(gains >= most * (1.0 - _TIE)))
        feature, last = divmod(at, sums.shape[1] - 1)
        return 1 + at, float(gains[at]), left[feature, last], right[feature, last]

    def _score(self, sums):
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(sums[..., 1] > 0.0, sums[..., 0] ** 2 / (sums[..., 1] + self.reg_lambda), 0.0)


class Forest:
    """Trees in frames of a fixed size, by round and output: `splits` codes (0: a leaf) and `gains` of the inner nodes, `values` and `covers` (sums of hessians) of all
    nodes. The children of node i are 2 i + 1 and 2 i + 2."""

    def __init__(self, splits, gains, values, covers):
        self.splits, self.gains, self.values, self.covers = splits, gains, values, covers

    def grow(self, tree: int, level: int, sums, rule: Rule) -> None:
        """Splits the nodes of a level by their global sums (outputs, nodes, features, bins, 2)."""
        for output, of_output in enumerate(sums):
            for position, of_node in enumerate(of_output[: 2**level]):
                node = 2**level - 1 + position
                if node == 0:
                    self._fill(tree, output, node, np.cumsum(of_node[0], axis=0)[-1], rule)
                code, gain, *children = rule.best(of_node)
                self.splits[tree, output, node], self.gains[tree, output, node] = code, gain
                for side, child in enumerate(children if code else ()):
                    self._fill(tree, output, 2 * node + 1 + side, child, rule)

    def digest(self, trees: int) -> bytes:
        """Of the first `trees` rounds."""
        return hashlib.blake2b(self.splits[:trees].tobytes() + self.values[:trees].tobytes()).digest()

    def margins(self, rows_binned, trees, base: float, bins: int) -> np.ndarray:
        """Margins (rows, outputs): the base and what the trees of these rounds add."""
        levels = int(self.splits.shape[2] + 1).bit_length() - 1
        found = np.full((len(rows_binned), self.splits.shape[1]), base)
        for tree in trees:
            for output in range(found.shape[1]):
                nodes, _ = nodes_at(rows_binned, self.splits[tree, output], levels, bins)
                found[:, output] += self.values[tree, output, nodes]
        return found

    def _fill(self, tree, output, node, sums, rule):
        self.values[tree, output, node] = rule.value(*sums)
        self.covers[tree, output, node] = sums[1]
