"""Trained models."""

import json
import pathlib
import shutil
import tempfile

import numpy as np

from lepton_ai import _native
from lepton_ai.errors import UsageError
from lepton_ai.tables import Dataset


class Predictions:
    """What a model says of each row, in the table's order.

    ``values``: class names (object array, None where a row was left out because a value is missing) or numbers (float64, NaN there). ``probabilities``: shape
    (rows, classes) in the order of ``classes``, or None for regression. ``metrics``: exact metrics on the rows with a known label, or None without labels.
    """

    def __init__(self, found: dict):
        self.classes: list[str] = found["classes"]
        self.metrics = None if found["metrics"] is None else json.loads(found["metrics"])
        self.unknown_labels: int = found["unknown_labels"]
        if self.classes:
            names = np.array([*self.classes, None], dtype=object)
            self.values = names[found["index"]]
            self.probabilities = found["probabilities"].reshape(-1, len(self.classes))
        else:
            self.values = found["values"]
            self.probabilities = None

    def __len__(self):
        return len(self.values)

    def __repr__(self):
        return f"Predictions({len(self)} rows{', classes ' + ', '.join(self.classes) if self.classes else ''})"


class Model:
    """A trained model: a folder with ``model.safetensors`` and its card, as every run leaves one."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)

    @classmethod
    def load(cls, folder) -> "Model":
        """The model in a model folder or a run folder. Raises :class:`UsageError` where there is none."""
        folder = pathlib.Path(folder)
        for place in (folder, folder / "model"):
            if (place / "model.safetensors").is_file():
                return cls(place)
        raise UsageError(f"{folder} holds no model: there is no model.safetensors in it")

    def predict(self, data, *, vault_key=None) -> Predictions:
        """Predicts for every row of a table (whatever :class:`Dataset` takes). Rows and predictions stay on this machine.

        Raises :class:`DataError` for a missing column, or for text where the model needs numbers.
        """
        with tempfile.TemporaryDirectory(prefix="lepton-", ignore_cleanup_errors=True) as made:
            path = Dataset(data)._path(pathlib.Path(made), "table")
            return Predictions(_native.predict(self.folder, path, None if vault_key is None else pathlib.Path(vault_key)))

    def prepared(self, data, *, vault_key=None) -> np.ndarray:
        """The rows of a table as the model takes them, shape (rows, inputs), float32, to the bit what parties' programs got, by the same engine: for models of
        one's own, and for :meth:`lepton_ai.xgboost.XGBoostParty.to_xgboost`. Rows that the job's ``missing = "drop"`` leaves out are NaN.

        ``data``: whatever :class:`Dataset` takes; objects are not written to the disk for it. Other columns than the model's are ignored. Raises
        :class:`DataError` for a missing column, for text where the model needs numbers, or for a missing value that the model's job refuses.
        """
        source = Dataset(data)._source
        if isinstance(source, dict):
            source = list(source.items())
        elif not isinstance(source, pathlib.Path):
            source = source.__arrow_c_stream__()
        return _native.prepare(self.folder, source, None if vault_key is None else pathlib.Path(vault_key))

    @property
    def inputs(self) -> list[str]:
        """Names of the inputs after preparation, in order: a column of numbers is one, a category column one for each level (``plan=slot-17`` where its categories were
        found together) and one for ``plan=(other)``."""
        return _native.inputs(self.folder)

    def label_values(self, values) -> np.ndarray:
        """Predictions of a standardised label in the label's own unit."""
        target = self._about["preparation"]["target"].get("value")
        if target is None:
            raise UsageError("the model's label has classes")
        return np.asarray(values, dtype=np.float64) * target["std"] + target["mean"]

    @property
    def _about(self) -> dict:
        raw = (self.folder / "model.safetensors").read_bytes()
        return json.loads(json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])["__metadata__"]["lepton"])

    def save(self, folder) -> "Model":
        """A copy in a new folder."""
        target = pathlib.Path(folder)
        if target.exists():
            raise UsageError(f"{target} exists already; name a new folder")
        shutil.copytree(self.folder, target)
        return Model(target)

    @property
    def card(self) -> str:
        """The model card, Markdown."""
        path = self.folder / "model_card.md"
        return path.read_text(encoding="utf-8") if path.is_file() else ""

    def tensors(self) -> dict[str, np.ndarray]:
        """The trained numbers by name, from the safetensors file (64- and 32-bit floats and integers)."""
        raw = (self.folder / "model.safetensors").read_bytes()
        size = int.from_bytes(raw[:8], "little")
        header = json.loads(raw[8 : 8 + size])
        kinds = {"F64": "<f8", "F32": "<f4", "I64": "<i8", "I32": "<i4", "U8": "u1", "U32": "<u4", "U64": "<u8"}
        found = {}
        for name, about in header.items():
            if name != "__metadata__":
                start, end = about["data_offsets"]
                bytes_of = raw[8 + size + start : 8 + size + end]
                found[name] = np.frombuffer(bytes_of, dtype=kinds[about["dtype"]]).reshape(about["shape"]).copy()
        return found

    def __repr__(self):
        return f"Model({str(self.folder)!r})"
