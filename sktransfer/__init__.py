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

# Public name -> its module, in reading order: estimators, strategies and heads, backbones, networks, inputs, the rest.
# A module loads when one of its names is first used, because torch takes a second to import. `__init__.pyi` says the
# same to type checkers.
_HOMES = {
    "TransferClassifier": "estimators.transfer_classifier",
    "TransferRegressor": "estimators.transfer_regressor",
    "MultiTaskTransfer": "estimators.multi_task_transfer",
    "SourceClassifier": "estimators.source_classifier",
    "SourceRegressor": "estimators.source_regressor",
    "SourceFreeClassifier": "estimators.source_free_classifier",
    "DomainAdaptationClassifier": "estimators.domain_adaptation_classifier",
    "DomainAdaptationRegressor": "estimators.domain_adaptation_regressor",
    "Pooled": "estimators.pooled",
    "FleetClassifier": "estimators.fleet_classifier",
    "TransferDetector": "estimators.transfer_detector",
    "OpenSetClassifier": "estimators.open_set_classifier",
    "HealthyStatistic": "detection.statistic",
    "HotellingT2": "detection.hotelling_t2",
    "PrincipalComponents": "detection.principal_components",
    "HealthyNeighbors": "detection.healthy_neighbors",
    "TagT2": "detection.tag_t2",
    "ConditionMonitor": "monitoring.condition_monitor",
    "Alarms": "monitoring.alarms",
    "explain_sensors": "monitoring.explain_sensors",
    "suggest_labels": "monitoring.suggest_labels",
    "SensorContributionDisplay": "monitoring.sensor_contribution_display",
    "FeatureExtractor": "estimators.feature_extractor",
    "Pipeline": "estimators.pipeline",
    "make_pipeline": "estimators.pipeline",
    "BatchedGridSearchCV": "model_selection.batched_search",
    "BatchedRandomizedSearchCV": "model_selection.batched_search",
    "LeaveOneDomainOut": "model_selection.splitters",
    "SourceTargetShuffleSplit": "model_selection.splitters",
    "TimeOrderedGroupSplit": "model_selection.splitters",
    "PredictionEntropyScorer": "model_selection.label_free_scores",
    "SoftNeighborhoodDensity": "model_selection.label_free_scores",
    "ImportanceWeightedScorer": "model_selection.label_free_scores",
    "DeepEmbeddedValidation": "model_selection.label_free_scores",
    "CircularValidation": "model_selection.label_free_scores",
    "compare": "evaluation.compare",
    "TransferGainDisplay": "evaluation.transfer_gain_display",
    "rank_backbones": "evaluation.rank_backbones",
    "SafeTransferClassifier": "evaluation.safe_transfer_classifier",
    "SafeTransferRegressor": "evaluation.safe_transfer_regressor",
    "Strategy": "strategies.base",
    "ProbeThenTune": "strategies.probe_then_tune",
    "LinearProbing": "strategies.linear_probing",
    "FineTuning": "strategies.fine_tuning",
    "GradualUnfreezing": "strategies.gradual_unfreezing",
    "LayerDecay": "strategies.layer_decay",
    "L2SP": "strategies.l2sp",
    "WeightDecay": "strategies.weight_decay",
    "AdaBN": "strategies.adabn",
    "SHOT": "adaptation.shot",
    "Augmentation": "strategies.augmentation",
    "DeepCORAL": "adaptation.deep_coral",
    "MMD": "adaptation.mmd",
    "MCC": "adaptation.mcc",
    "DANN": "adaptation.dann",
    "Guarded": "adaptation.guard",
    "Alignment": "adaptation.alignment",
    "SubspaceAlignment": "adaptation.subspace_alignment",
    "CORAL": "adaptation.coral",
    "OTMapping": "adaptation.ot_mapping",
    "em_shares": "adaptation.label_shift",
    "bbse_shares": "adaptation.label_shift",
    "proxy_a_distance": "adaptation.domain_distance",
    "domain_distance_report": "adaptation.domain_distance",
    "LinearHead": "networks.heads",
    "MLPHead": "networks.heads",
    "list_backbones": "backbones.list_backbones",
    "load_backbone": "backbones.persistence",
    "save_backbone": "backbones.persistence",
    "save": "io.model_file",
    "load": "io.model_file",
    "inspect_file": "io.model_file",
    "TRUSTED_TYPES": "io.trusted_types",
    "Backbone": "backbones.backbone",
    "Inputs": "backbones.inputs",
    "Source": "backbones.source",
    "FromScratch": "backbones.from_scratch",
    "from_module": "convert.from_module",
    "from_keras": "convert.from_keras",
    "export_onnx": "io.onnx_export",
    "OnnxModel": "io.onnx_model",
    "register_onnx_converters": "io.onnx_converters",
    "MLP": "networks.mlp",
    "CNN": "networks.cnn",
    "register_network": "networks.registry",
    "BaselineScaler": "preprocessing.baseline_scaler",
    "WindowScaler": "preprocessing.window_scaler",
    "LaggedWindows": "preprocessing.lagged_windows",
    "EnvelopeSpectra": "preprocessing.envelope_spectra",
    "BearingGeometry": "preprocessing.bearing_geometry",
    "SlidingWindows": "windows.sliding_windows",
    "Windows": "windows.windows",
    "read_table": "io.read_table",
    "iter_tables": "io.read_table",
    "write_table": "io.write_table",
    "TableFormat": "io.table_format",
    "TimeColumn": "io.time_column",
    "Table": "io.table",
    "TableReport": "io.table",
    "load_tep_mode4": "datasets.tep_mode4",
    "ModelFileError": "exceptions",
    "TableError": "exceptions",
    "ModelVersionWarning": "utils.model_version_warning",
    "DataQualityWarning": "exceptions",
    "OutOfRangeWarning": "exceptions",
    "SourceClassWarning": "exceptions",
    "LabelShiftWarning": "exceptions",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'sktransfer' has no attribute {name!r}; it has {', '.join(_HOMES)}.")
    return getattr(import_module(f"sktransfer.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
