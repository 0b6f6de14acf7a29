# The public names with their types, for type checkers; `__init__.py` loads the same names when they are first used.
# ruff: noqa: I001  (the order is that of `__all__`)

__version__: str

from sktransfer.estimators.transfer_classifier import TransferClassifier as TransferClassifier
from sktransfer.estimators.transfer_regressor import TransferRegressor as TransferRegressor
from sktransfer.estimators.multi_task_transfer import MultiTaskTransfer as MultiTaskTransfer
from sktransfer.estimators.source_classifier import SourceClassifier as SourceClassifier
from sktransfer.estimators.source_regressor import SourceRegressor as SourceRegressor
from sktransfer.estimators.feature_extractor import FeatureExtractor as FeatureExtractor
from sktransfer.estimators.pipeline import Pipeline as Pipeline
from sktransfer.estimators.pipeline import make_pipeline as make_pipeline
from sktransfer.model_selection.batched_search import BatchedGridSearchCV as BatchedGridSearchCV
from sktransfer.model_selection.batched_search import BatchedRandomizedSearchCV as BatchedRandomizedSearchCV
from sktransfer.strategies.base import Strategy as Strategy
from sktransfer.strategies.probe_then_tune import ProbeThenTune as ProbeThenTune
from sktransfer.strategies.linear_probing import LinearProbing as LinearProbing
from sktransfer.strategies.fine_tuning import FineTuning as FineTuning
from sktransfer.strategies.gradual_unfreezing import GradualUnfreezing as GradualUnfreezing
from sktransfer.strategies.layer_decay import LayerDecay as LayerDecay
from sktransfer.strategies.l2sp import L2SP as L2SP
from sktransfer.strategies.weight_decay import WeightDecay as WeightDecay
from sktransfer.strategies.augmentation import Augmentation as Augmentation
from sktransfer.adaptation.deep_coral import DeepCORAL as DeepCORAL
from sktransfer.adaptation.mmd import MMD as MMD
from sktransfer.adaptation.mcc import MCC as MCC
from sktransfer.adaptation.dann import DANN as DANN
from sktransfer.adaptation.alignment import Alignment as Alignment
from sktransfer.networks.heads import LinearHead as LinearHead
from sktransfer.networks.heads import MLPHead as MLPHead
from sktransfer.backbones.list_backbones import list_backbones as list_backbones
from sktransfer.backbones.persistence import load_backbone as load_backbone
from sktransfer.backbones.persistence import save_backbone as save_backbone
from sktransfer.backbones.backbone import Backbone as Backbone
from sktransfer.backbones.inputs import Inputs as Inputs
from sktransfer.backbones.source import Source as Source
from sktransfer.backbones.from_scratch import FromScratch as FromScratch
from sktransfer.convert.from_module import from_module as from_module
from sktransfer.convert.from_keras import from_keras as from_keras
from sktransfer.networks.mlp import MLP as MLP
from sktransfer.networks.cnn import CNN as CNN
from sktransfer.networks.registry import register_network as register_network
from sktransfer.preprocessing.baseline_scaler import BaselineScaler as BaselineScaler
from sktransfer.preprocessing.window_scaler import WindowScaler as WindowScaler
from sktransfer.preprocessing.lagged_windows import LaggedWindows as LaggedWindows
from sktransfer.preprocessing.envelope_spectra import EnvelopeSpectra as EnvelopeSpectra
from sktransfer.preprocessing.bearing_geometry import BearingGeometry as BearingGeometry
from sktransfer.windows.sliding_windows import SlidingWindows as SlidingWindows
from sktransfer.windows.windows import Windows as Windows
from sktransfer.datasets.tep_mode4 import load_tep_mode4 as load_tep_mode4
from sktransfer.exceptions import ModelFileError as ModelFileError
from sktransfer.exceptions import ModelVersionWarning as ModelVersionWarning
from sktransfer.exceptions import DataQualityWarning as DataQualityWarning
from sktransfer.exceptions import OutOfRangeWarning as OutOfRangeWarning
from sktransfer.exceptions import SourceClassWarning as SourceClassWarning
