"""Lepton: train models, ask questions and keep data together with others without pooling it.

>>> import lepton_ai
>>> token = lepton_ai.encrypt(b"between us", passphrase="correct horse battery staple")
>>> lepton_ai.decrypt(token, passphrase="correct horse battery staple")
b'between us'

Everything is loaded when it is first used, so that ``import lepton_ai`` itself is quick.
"""

from importlib import import_module as _import_module

_WHERE = {
    "Budget": "budget",
    "Dataset": "tables",
    "DistributedComputation": "classic",
    "Encryptor": "classic",
    "FederatedLearning": "classic",
    "Federation": "federation",
    "LeptonClient": "client",
    "Model": "model",
    "Party": "party",
    "Run": "running",
    "Vault": "vault",
    "decrypt": "encryption",
    "encrypt": "encryption",
    "generate_key": "encryption",
    "masked_sum": "sums",
    "public_key": "encryption",
    "run": "running",
}
_ERRORS = (
    "BudgetError",
    "DataError",
    "EnvelopeError",
    "InternalError",
    "JobError",
    "LeptonError",
    "PrivacyWarning",
    "RefusedError",
    "StorageError",
    "UsageError",
)
_MODULES = (
    "accounting",
    "differential_privacy",
    "encryption",
    "errors",
    "federated_learning",
    "mechanisms",
    "secure_multi_party_computation",
    "sklearn",
    "xgboost",
)

# `sklearn` is left out, as it is there only where scikit-learn is; `xgboost` would hide XGBoost's own name.
__all__ = [*_WHERE, *_ERRORS, *(name for name in _MODULES if name not in ("sklearn", "xgboost")), "__version__"]


def __getattr__(name):
    if name == "__version__":
        return _import_module("lepton_ai._native").__version__
    if name in _MODULES:
        return _import_module(f"lepton_ai.{name}")
    module = "errors" if name in _ERRORS else _WHERE.get(name)
    if module is None:
        raise AttributeError(f"module 'lepton_ai' has no attribute {name!r}")
    found = getattr(_import_module(f"lepton_ai.{module}"), name)
    globals()[name] = found
    return found


def __dir__():
    return sorted(__all__)
