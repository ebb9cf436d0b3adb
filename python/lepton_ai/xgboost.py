"""Boosted trees over a federation: XGBoost's algorithm on histograms that are summed under masks, and its file format.

XGBoost itself is needed for :meth:`XGBoostParty.to_xgboost` alone (``pip install xgboost-cpu``, or ``xgboost``).
"""

import hashlib
import json

import numpy as np

from lepton_ai import _trees
from lepton_ai.errors import UsageError
from lepton_ai.party import Party

_OBJECTIVES = ("binary:logistic", "reg:squarederror", "multi:softprob")
# What an update may change a number by (64) and its step (2^-16) decide how these are scaled.
_MOST = 64.0
_CODE = 2.0**14
_SCALE = {"binary:logistic": 16.0, "reg:squarederror": 8.0, "multi:softprob": 16.0}
# Entries of the roll call: tables, and entries in each; and what they are multiplied by.
_ROLL = (4, 1024)
_CALL = 32.0
# Progress, the mark that a step of the server's was 1, and the binary logarithm of what gains and covers are divided by.
_COUNTS = 3


class XGBoostParty(Party):
    """Boosted trees, grown level by level: in each round every party sums gradients and hessians of its own rows by node, feature and bin; the masked mean of these
    histograms over all parties decides the splits and leaves of a level, by the formulas of Chen and Guestrin 2016 (section 2.2), as XGBoost's
    ``tree_method="hist"``, ``grow_policy="depthwise"`` has them.

        class Trees(lepton_ai.xgboost.XGBoostParty):
            features = 30

        run = lepton_ai.run({**job, "training": {"rounds": Trees.rounds()}}, party=Trees)
        Trees.to_xgboost(run.model).save_model("trees.json")

    ``features``: inputs after preparation (a column of numbers is one, a category column one for each level and one for "other"). ``objective``, ``n_estimators``,
    ``max_depth``, ``learning_rate``, ``reg_lambda``, ``gamma``, ``min_child_weight``, ``max_bin``: as in XGBoost, with fewer and shallower trees as the start.
    ``num_class``: for ``multi:softprob``. ``base_score``: where all rows start; 0.5, and 0 for ``reg:squarederror``, whose labels are standardised.
    ``low``, ``high``: between these numbers, or arrays of one for each feature, prepared values are divided into ``max_bin`` bins of equal width; what lies
    outside is in the first or last bin. They are public, and must not be taken from rows: -3 and 3 go with ``prepare.scale = "standard"``; write 0 and 1 for
    ``"minmax"``.

    A job needs ``n_estimators * max_depth`` rounds; with fewer there are fewer trees, and more do nothing but make up for lost ones. The other settings of ``[training]`` are not heeded, and those that make a
    sum something else than the mean of the parties' rows are refused, in words, from the second round on (``server_optimiser``, ``server_learning_rate``,
    ``clip_update``, ``combine``).

    Precision: each party's sums of gradients over its rows (at most 1 a row in classification) are rounded to steps of 2^-20, of 2^-19 in regression, then the mean
    is read as float32; gains that agree to 3e-5 count as equal, and the first feature and bin win. So both sides of a split need a sum of
    hessians above ``max_bin`` times the number of parties times 2^-19 (2^-18 in regression), however small ``min_child_weight`` is: less may be rounding, and no rows.

    A party that is lost is missing from the sums of that round, and so from the level that they decide; every round counts the rows that are in its sums, so that
    ``reg_lambda``, ``gamma`` and ``min_child_weight`` mean what they say.

    Privacy: masks hide each party's histograms, and only the sums over all parties become known, **exactly**: what a bin with one row says is that row's. The rows and
    the parties in each round's sums become known too. There is no privacy goal for these trees (docs/own-model.md says why): :func:`lepton_ai.run` refuses one, and so
    does every party of a federation, whatever ``privacy.unit`` says, before anything is charged (rule CM-11: ``exact_sums``).
    """

    exact_sums = True

    features = 0
    objective = "binary:logistic"
    num_class = 1
    n_estimators = 20
    max_depth = 3
    learning_rate = 0.3
    reg_lambda = 1.0
    gamma = 0.0
    min_child_weight = 1.0
    base_score = None
    max_bin = 32
    low = -3.0
    high = 3.0

    def __init__(self, name):
        super().__init__(name)
        self._check()
        self._edges = _trees.edges(self.low, self.high, self.features, self.max_bin)
        # Bins of the rows and margins by settled trees, so that a round walks two trees at most, and not all.
        self._rows, self._margins = (b"", None), (b"", None)

    @classmethod
    def rounds(cls) -> int:
        """What to write as the job's ``training.rounds``."""
        return cls.n_estimators * cls.max_depth

    @property
    def shapes(self):
        """Counts (progress and what goes with it), roll call, splits, gains, values, covers, histogram. Of one axis each: such arrays start at zero (rule CM-08)."""
        trees, inner, nodes = self.n_estimators * self._outputs, 2**self.max_depth - 1, 2 ** (self.max_depth + 1) - 1
        sizes = (_COUNTS, _ROLL[0] * _ROLL[1], trees * inner, trees * inner, trees * nodes, trees * nodes, int(np.prod(self._histogram_shape)))
        return [(size,) for size in sizes]

    def fit(self, parameters, x, y, config):
        x, y = self._rows_of(x, y)
        state = _State(self, parameters)
        if state.progress >= self.n_estimators * self.max_depth:
            return parameters
        tree, level = divmod(state.progress, self.max_depth)
        rows, margins = self._before(x, state.forest, tree, tree - (level == 0 and tree > 0))
        slopes = _trees.slopes(self.objective, margins, y)
        sums = np.zeros(self._histogram_shape)
        for output in range(self._outputs):
            nodes, inside = _trees.nodes_at(rows, state.forest.splits[tree, output], level, self.max_bin)
            nodes = np.where(inside, nodes - (2**level - 1), -1)
            sums[output] = _trees.histogram(rows, nodes, [part[:, output] for part in slopes], sums.shape[1:])
        return state.arrays(sums / len(x), self._roll(len(x)))

    def predict(self, parameters, x):
        state = _State(self, parameters)
        rows = _trees.binned(self._x(x), self._edges)
        found = _trees.shares_of(self.objective, state.forest.margins(rows, range(self.n_estimators), self._base, self.max_bin))
        return found if self._outputs > 1 else found[:, 0]

    @classmethod
    def to_xgboost(cls, model):
        """An ``xgboost.Booster`` of a trained model (:class:`lepton_ai.Model`, or the list of its arrays): it takes *prepared* rows, as ``predict`` does, and holds the
        trees without the histogram. Raises :class:`UsageError` where XGBoost is not installed, or the model is none of this class."""
        try:
            import xgboost
        except ImportError as error:
            raise UsageError("to_xgboost needs XGBoost: pip install xgboost-cpu") from error
        booster = xgboost.Booster()
        booster.load_model(bytearray(json.dumps(cls.to_json(model)), encoding="utf-8"))
        return booster

    @classmethod
    def to_json(cls, model) -> dict:
        """The same as XGBoost's JSON model, which needs nothing but numpy."""
        party = cls("to_json")
        if hasattr(model, "tensors"):
            found = model.tensors()
            model = [found[f"tensor{number}"] for number in range(len(found)) if f"tensor{number}" in found]
        if [np.shape(array) for array in model] != party.shapes:
            raise UsageError(f"this is no model of {cls.__name__}: its arrays have other shapes")
        return _json(party, _State(party, model))

    @property
    def _outputs(self):
        return self.num_class if self.objective == "multi:softprob" else 1

    @property
    def _histogram_shape(self):
        return self._outputs, 2 ** (self.max_depth - 1), self.features, self.max_bin, 2

    @property
    def _start(self):
        """`base_score` as XGBoost's file has it."""
        return (0.0 if self.objective == "reg:squarederror" else 0.5) if self.base_score is None else self.base_score

    @property
    def _base(self):
        """The margin where all rows start."""
        return float(np.log(self._start / (1.0 - self._start)) if self.objective == "binary:logistic" else self._start)

    def _rule(self, parties):
        # A party's part of a bin's sum may be half a step of 2^-16 off, over the scale; a side has up to max_bin bins. Four times that, so that a leaf means something.
        known = 4.0 * self.max_bin * parties * 2.0**-17 / _SCALE[self.objective]
        return _trees.Rule(self.learning_rate, self.reg_lambda, self.gamma, self.min_child_weight, known)

    def _check(self):
        """That the settings can be meant so."""
        for name in ("features", "num_class", "n_estimators", "max_depth", "max_bin"):
            if isinstance(getattr(self, name), bool) or not isinstance(getattr(self, name), (int, np.integer)):
                raise UsageError(f"{name} = {getattr(self, name)!r} must be a whole number")
        for name in ("learning_rate", "reg_lambda", "gamma", "min_child_weight", "_start"):
            if not _finite(getattr(self, name), ()):
                raise UsageError(f"{name.replace('_start', 'base_score')} = {getattr(self, name)!r} must be a finite number")
        if self.objective not in _OBJECTIVES:
            raise UsageError(f"objective {self.objective!r} is none of {', '.join(_OBJECTIVES)}")
        if self.objective == "multi:softprob" and self.num_class < 2:
            raise UsageError("multi:softprob needs num_class, the number of classes")
        if self.features < 1 or self.n_estimators < 1 or not 1 <= self.max_depth <= 12 or self.max_bin < 2:
            raise UsageError("trees need features, the number of prepared inputs, at least one tree, a depth from 1 to 12 and two bins")
        if self.features * (self.max_bin - 1) >= _MOST * _CODE:
            raise UsageError(f"features times bins may be at most {int(_MOST * _CODE)}")
        for name in ("low", "high"):
            if not _finite(getattr(self, name), (), (self.features,)):
                raise UsageError(f"{name} must be a finite number, or one for each of the {self.features} features")
        if not (np.asarray(self.low) < np.asarray(self.high)).all():
            raise UsageError("low must be below high")
        if self.objective == "binary:logistic" and not 0.0 < self._start < 1.0:
            raise UsageError("base_score must be between 0 and 1")
        if min(self.learning_rate, self.reg_lambda, self.gamma, self.min_child_weight) < 0.0:
            raise UsageError("learning_rate, reg_lambda, gamma and min_child_weight may not be negative")

    def _x(self, x):
        if x.shape[1] != self.features:
            raise UsageError(f"prepared rows have {x.shape[1]} inputs, and the party's features = {self.features}")
        return x

    def _before(self, x, forest, tree, settled):
        """Bins and margins of the training rows before this tree. The first `settled` trees stay as they are; of one that was just decided the values will change a
        little, when they have gone through a sum."""
        of_rows = hashlib.blake2b(np.ascontiguousarray(x)).digest()
        if self._rows[0] != of_rows:
            self._rows = of_rows, _trees.binned(x, self._edges)
        rows, done = self._rows[1], 0
        margins = np.full((len(rows), self._outputs), self._base)
        for known in range(settled, 0, -1):
            if self._margins[0] == of_rows + forest.digest(known):
                margins, done = self._margins[1], known
                break
        if done < settled:
            margins = margins + forest.margins(rows, range(done, settled), 0.0, self.max_bin)
            self._margins = of_rows + forest.digest(settled), margins
        return rows, margins + forest.margins(rows, range(settled, tree), 0.0, self.max_bin)

    def _rows_of(self, x, y):
        classes = np.issubdtype(np.asarray(y).dtype, np.integer)
        if classes == (self.objective == "reg:squarederror"):
            raise UsageError(f"the label {'is a class' if classes else 'is a number'}, which {self.objective} is not for")
        if classes and len(y) and y.max() >= max(self._outputs, 2):
            raise UsageError(f"class {y.max()} of the label is too many for {self.objective} with num_class = {self.num_class}")
        return self._x(x), y.astype(np.float64)

    def _roll(self, rows):
        """One over this party's rows, at entries that follow from its name: the mean of them, weighted by rows, is a number of parties over the rows of all. The least
        entry is of one party alone (with up to 5,000 parties, but for a chance below 1e-11) and says how many rows there are: XGBoost's settings are for sums. A call
        in every round, since a sum is over the parties that were not lost in its round."""
        roll = np.zeros(_ROLL)
        digest = hashlib.sha256(b"lepton roll call " + self.name.encode()).digest()
        for table in range(_ROLL[0]):
            roll[table, int.from_bytes(digest[4 * table : 4 * table + 4], "little") % _ROLL[1]] = _CALL / rows
        return roll.reshape(-1)


class _State:
    """A model's arrays, read: the trees so far, with the level that the histogram decides."""

    def __init__(self, party: XGBoostParty, parameters):
        self._party, outputs = party, party._outputs
        # As parties get them, so that a model file says the same.
        flat = [np.asarray(array, dtype=np.float32).astype(np.float64) for array in parameters]
        self.progress, mark, self._unit = (int(count) for count in _whole(flat[0], "the number of rounds", 1e-6))
        if mark != (self.progress > 0):
            raise UsageError(f"the server moved by {mark} times the mean change: {_MEANT}")
        if not 0 <= self.progress <= party.n_estimators * party.max_depth:
            raise UsageError(f"the model says that {self.progress} rounds were trained, and there are {party.n_estimators * party.max_depth}")
        self.rows, self.parties = _called(flat[1].reshape(_ROLL)) if self.progress else (1, 1)
        shape, scale, unit = (party.n_estimators, outputs, -1), _SCALE[party.objective], 2.0**self._unit
        self.forest = _trees.Forest(
            _whole(flat[2] * _CODE, "a split").reshape(shape), flat[3].reshape(shape) * unit, flat[4].reshape(shape), flat[5].reshape(shape) * (unit / scale)
        )
        if self.progress:
            sums = flat[6].reshape(party._histogram_shape) * (self.rows / scale)
            self.forest.grow(*divmod(self.progress - 1, party.max_depth), sums, party._rule(self.parties))

    def arrays(self, mean_sums, roll):
        """The arrays of the next round at this party, with its own histogram, over its rows, in them."""
        # A power of two not below any round's rows: a party may be lost in one round and there in the next.
        power = max(self._unit, (self.rows - 1).bit_length())
        forest, scale, per_unit = self.forest, _SCALE[self._party.objective], 2.0**-power
        given = [
            np.array([self.progress + 1.0, 1.0, power]), roll,
            forest.splits.reshape(-1) / _CODE, forest.gains.reshape(-1) * per_unit, forest.values.reshape(-1), forest.covers.reshape(-1) * (per_unit * scale),
            mean_sums.reshape(-1) * scale,
        ]
        if max(np.abs(array).max() for array in given[3:]) > _MOST / 2:
            # A change may be twice as large; counts, calls and splits have bounds of their own.
            raise UsageError("a sum or a leaf is too large for an update; raise reg_lambda or min_child_weight, and scale the label")
        return given


def _called(roll):
    """How many training rows, and how many parties, are in the sums of a round."""
    # What is left where a lost party's call was: half a step of each change, over all rows, which is 2^-22 of a call for each party.
    least = roll.max() / 64.0
    if not np.isfinite(roll).all() or least <= 0.0 or roll.min() < -least:
        raise UsageError(f"the parties' rows were not counted: {_MEANT}")
    calls = roll[roll > least]
    parties = _whole(calls / calls.min(), "a number of parties").sum()
    return round(_CALL * float(parties / calls.sum())), int(round(parties / len(roll)))


_MEANT = (
    'boosted trees need exact means over the rows of all parties: no privacy goal, combine = "mean", server_optimiser = "fedavg" with server_learning_rate = 1, '
    "and no clip_update"
)


def _finite(value, *shapes) -> bool:
    """Whether these are numbers, of one of the shapes, that float32 holds."""
    try:
        array = np.asarray(value)
        return array.dtype.kind in "iuf" and array.shape in shapes and bool((np.abs(array.astype(np.float64)) <= np.finfo(np.float32).max).all())
    except (TypeError, ValueError):
        return False


def _whole(values, what, within=0.2) -> np.ndarray:
    """Numbers that all parties gave alike, as whole ones. Noise, another step of the server's or a party with other code spoil them."""
    found = np.rint(values)
    if not np.isfinite(values).all() or np.abs(values - found).max(initial=0.0) > within or found.min(initial=0.0) < 0:
        raise UsageError(f"{what} is no whole number in this model: {_MEANT}, and parties with the same settings")
    return found.astype(np.int64)


def _json(party: XGBoostParty, state: _State) -> dict:
    """XGBoost's model format of version 2.1, which later versions read."""
    outputs = party._outputs
    begun = -(-state.progress // party.max_depth)
    trees = [_tree(party, state, tree, output) for tree in range(begun) for output in range(outputs)]
    model = {
        "gbtree_model_param": {"num_parallel_tree": "1", "num_trees": str(len(trees))},
        "iteration_indptr": list(range(0, len(trees) + 1, outputs)),
        "tree_info": [number % outputs for number in range(len(trees))],
        "trees": [{"id": number, **tree} for number, tree in enumerate(trees)],
    }
    of_objective = {"softmax_multiclass_param": {"num_class": str(outputs)}} if outputs > 1 else {"reg_loss_param": {"scale_pos_weight": "1"}}
    learner = {
        "attributes": {},
        "feature_names": [],
        "feature_types": [],
        "gradient_booster": {"model": model, "name": "gbtree"},
        "learner_model_param": {
            "base_score": repr(float(party._start)), "boost_from_average": "0", "num_class": str(outputs if outputs > 1 else 0),
            "num_feature": str(party.features), "num_target": "1",
        },
        "objective": {"name": party.objective, **of_objective},
    }
    return {"learner": learner, "version": [2, 1, 0]}


def _tree(party: XGBoostParty, state: _State, tree: int, output: int) -> dict:
    """One tree, its nodes numbered in the order of their levels."""
    forest = state.forest
    splits, gains = forest.splits[tree, output], forest.gains[tree, output]
    inner, above = [0], [2**31 - 1]
    for number, node in enumerate(inner):
        if node < len(splits) and splits[node]:
            inner += [2 * node + 1, 2 * node + 2]
            above += [number, number]
    places = {node: number for number, node in enumerate(inner)}
    split = [node < len(splits) and splits[node] > 0 for node in inner]
    feature, last = zip(*(divmod(int(splits[node]) - 1, party.max_bin - 1) if is_split else (0, 0) for node, is_split in zip(inner, split)))
    values = forest.values[tree, output, inner]
    leaf_or_edge = [party._edges[at] if is_split else value for at, is_split, value in zip(zip(feature, last), split, values)]
    return {
        "base_weights": [float(np.float32(value)) for value in values],
        "categories": [],
        "categories_nodes": [],
        "categories_segments": [],
        "categories_sizes": [],
        "default_left": [0] * len(inner),
        "left_children": [places[2 * node + 1] if is_split else -1 for node, is_split in zip(inner, split)],
        "loss_changes": [float(np.float32(gains[node])) if is_split else 0.0 for node, is_split in zip(inner, split)],
        "parents": above,
        "right_children": [places[2 * node + 2] if is_split else -1 for node, is_split in zip(inner, split)],
        "split_conditions": [float(np.float32(number)) for number in leaf_or_edge],
        "split_indices": list(feature),
        "split_type": [0] * len(inner),
        "sum_hessian": [float(np.float32(cover)) for cover in forest.covers[tree, output, inner]],
        "tree_param": {"num_deleted": "0", "num_feature": str(party.features), "num_nodes": str(len(inner)), "size_leaf_vector": "1"},
    }
