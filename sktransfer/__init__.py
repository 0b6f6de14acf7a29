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
    "SlidingWindows": "windows",
    "Windows": "window_array",
    "BearingGeometry": "bearing",
    "LaggedWindows": "lagged",
    "BaselineScaler": "scaling",
    "WindowScaler": "window_scaling",
    "EnvelopeSpectra": "envelope",
    "TransferClassifier": "classifier",
    "TransferRegressor": "regressor",
    "FeatureExtractor": "extractor",
    "BatchedGridSearchCV": "search",
    "BatchedRandomizedSearchCV": "search",
    "Pipeline": "pipeline",
    "make_pipeline": "pipeline",
    "Backbone": "backbone",
    "Inputs": "card",
    "Source": "card",
    "FromScratch": "from_scratch",
    "load_backbone": "persistence",
    "from_keras": "keras_models",
    "from_module": "foreign",
    "save_backbone": "persistence",
    "LinearHead": "head",
    "MLPHead": "head",
    "Strategy": "strategy",
    "LinearProbing": "probing",
    "ProbeThenTune": "probe_then_tune",
    "FineTuning": "fine_tuning",
    "GradualUnfreezing": "gradual",
    "LayerDecay": "layer_decay",
    "L2SP": "l2sp",
    "WeightDecay": "weight_decay",
    "Augmentation": "augmentation",
    "MLP": "mlp",
    "CNN": "cnn",
    "register_network": "networks",
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
