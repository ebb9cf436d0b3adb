"""Types of the package's names, which are loaded when they are first used."""

from lepton_ai import (
    accounting as accounting,
    differential_privacy as differential_privacy,
    encryption as encryption,
    errors as errors,
    federated_learning as federated_learning,
    mechanisms as mechanisms,
    secure_multi_party_computation as secure_multi_party_computation,
    sklearn as sklearn,
    xgboost as xgboost,
)
from lepton_ai.budget import Budget as Budget
from lepton_ai.classic import DistributedComputation as DistributedComputation, Encryptor as Encryptor, FederatedLearning as FederatedLearning
from lepton_ai.client import LeptonClient as LeptonClient
from lepton_ai.encryption import decrypt as decrypt, encrypt as encrypt, generate_key as generate_key, public_key as public_key
from lepton_ai.errors import (
    BudgetError as BudgetError,
    DataError as DataError,
    EnvelopeError as EnvelopeError,
    InternalError as InternalError,
    JobError as JobError,
    LeptonError as LeptonError,
    PrivacyWarning as PrivacyWarning,
    RefusedError as RefusedError,
    StorageError as StorageError,
    UsageError as UsageError,
)
from lepton_ai.federation import Federation as Federation
from lepton_ai.model import Model as Model
from lepton_ai.party import Party as Party
from lepton_ai.running import Run as Run, run as run
from lepton_ai.sums import masked_sum as masked_sum
from lepton_ai.tables import Dataset as Dataset
from lepton_ai.vault import Vault as Vault

__version__: str
