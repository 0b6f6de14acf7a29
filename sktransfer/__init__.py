r"""Reuse a pretrained fault network on another machine, inside scikit-learn.

::

    source recordings --> TransferClassifier().fit --> clf.backbone_ --> save_backbone
                           (backbone=None: from scratch)                      |
                                                           load_backbone(path | shipped name)
                                                                              v
    target recordings --> BaselineScaler --> TransferClassifier(backbone, strategy=...) --> predict --> joblib
                                         \-> FeatureExtractor(backbone).transform --> any scikit-learn estimator

    recordings of signals --> SlidingWindows().cut --> X (n_windows, n_channels, length), y, groups --> as above

The loop closes: what one fit leaves behind (``backbone_``) is what the next begins with.
``backbone=None`` is the honest "no transfer" baseline.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# Name -> module, in reading order. Modules load when a name is first used, because torch takes seconds to import.
_HOMES = {
    "SlidingWindows": "windows.sliding_windows",
    "Windows": "windows.windows",
    "BearingGeometry": "preprocessing.bearing_geometry",
    "LaggedWindows": "preprocessing.lagged_windows",
    "BaselineScaler": "preprocessing.baseline_scaler",
    "WindowScaler": "preprocessing.window_scaler",
    "EnvelopeSpectra": "preprocessing.envelope_spectra",
    "TransferClassifier": "estimators.transfer_classifier",
    "TransferRegressor": "estimators.transfer_regressor",
    "FeatureExtractor": "estimators.feature_extractor",
    "BatchedGridSearchCV": "model_selection.batched_search",
    "BatchedRandomizedSearchCV": "model_selection.batched_search",
    "Pipeline": "estimators.pipeline",
    "make_pipeline": "estimators.pipeline",
    "Backbone": "backbones.backbone",
    "Inputs": "backbones.inputs",
    "Source": "backbones.source",
    "FromScratch": "backbones.from_scratch",
    "load_backbone": "backbones.persistence",
    "from_keras": "convert.from_keras",
    "from_module": "convert.from_module",
    "save_backbone": "backbones.persistence",
    "LinearHead": "networks.heads",
    "MLPHead": "networks.heads",
    "Strategy": "strategies.base",
    "LinearProbing": "strategies.linear_probing",
    "ProbeThenTune": "strategies.probe_then_tune",
    "FineTuning": "strategies.fine_tuning",
    "GradualUnfreezing": "strategies.gradual_unfreezing",
    "LayerDecay": "strategies.layer_decay",
    "L2SP": "strategies.l2sp",
    "WeightDecay": "strategies.weight_decay",
    "Augmentation": "strategies.augmentation",
    "MLP": "networks.mlp",
    "CNN": "networks.cnn",
    "register_network": "networks.registry",
    "ModelFileError": "exceptions",
    "ModelVersionWarning": "exceptions",
    "DataQualityWarning": "exceptions",
    "OutOfRangeWarning": "exceptions",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'sktransfer' has no attribute {name!r}; it has {', '.join(_HOMES)}.")
    return getattr(import_module(f"sktransfer.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
