"""What a model file may build: a list of names that was written by people, and never what a file asks for.

Numbers, texts, arrays and containers are always read. Of this package the list holds what a fitted object is made of;
of scikit-learn preprocessing, linear models, and the searches, calibrators and thresholds around a model, whose state
is arrays and whose methods look at shapes. Trees, nearest neighbours and support vector machines are left out: their
compiled code follows indices in the file without looking whether they lie in an array. Whoever knows where a file comes
from may add them.
"""

from __future__ import annotations

_OURS = {
    "adaptation": {
        "coral": "CORAL", "dann": "DANN", "deep_coral": "DeepCORAL", "guard": "Guarded", "mcc": "MCC", "mmd": "MMD",
        "ot_mapping": "OTMapping", "shot": "SHOT", "subspace_alignment": "SubspaceAlignment",
    },
    "backbones": {"backbone": "Backbone", "from_scratch": "FromScratch", "inputs": "Inputs", "weights": "Weights"},
    "detection": {
        "healthy_neighbors": "HealthyNeighbors", "hotelling_t2": "HotellingT2",
        "principal_components": "PrincipalComponents", "shrunk_covariance": "ShrunkCovariance", "tag_t2": "TagT2",
    },
    "estimators": {
        "domain_adaptation_classifier": "DomainAdaptationClassifier",
        "domain_adaptation_regressor": "DomainAdaptationRegressor", "feature_extractor": "FeatureExtractor",
        "fitted_features": "FittedFeatures", "fleet_arrays": "FleetArrays", "fleet_classifier": "FleetClassifier",
        "multi_task_transfer": "MultiTaskTransfer", "open_set_classifier": "OpenSetClassifier _Known",
        "pipeline": "Pipeline", "pooled": "Pooled", "source_classifier": "SourceClassifier",
        "source_free_classifier": "SourceFreeClassifier", "source_regressor": "SourceRegressor",
        "transfer_classifier": "TransferClassifier", "transfer_detector": "TransferDetector",
        "transfer_regressor": "TransferRegressor",
    },
    "evaluation": {
        "safe_transfer_classifier": "SafeTransferClassifier", "safe_transfer_regressor": "SafeTransferRegressor",
    },
    "io": {"stored_frame": "StoredFrame", "table_format": "TableFormat", "time_column": "TimeColumn"},
    "model_selection": {
        "batched_search": "BatchedGridSearchCV BatchedRandomizedSearchCV",
        "label_free_scores": "CircularValidation DeepEmbeddedValidation ImportanceWeightedScorer "
        "PredictionEntropyScorer SoftNeighborhoodDensity",
        "splitters": "LeaveOneDomainOut SourceTargetShuffleSplit TimeOrderedGroupSplit",
    },
    "monitoring": {"alarms": "Alarms", "condition_monitor": "ConditionMonitor"},
    "networks": {"heads": "LinearHead MLPHead"},
    "preprocessing": {
        "baseline_scaler": "BaselineScaler", "bearing_geometry": "BearingGeometry",
        "envelope_spectra": "EnvelopeSpectra", "lagged_windows": "LaggedWindows", "window_scaler": "WindowScaler",
    },
    "strategies": {
        "adabn": "AdaBN", "augmentation": "Augmentation", "base": "Strategy Combined", "fine_tuning": "FineTuning",
        "gradual_unfreezing": "GradualUnfreezing", "l2sp": "L2SP", "layer_decay": "LayerDecay",
        "linear_probing": "LinearProbing HeadFirst", "probe_then_tune": "ProbeThenTune", "weight_decay": "WeightDecay",
    },
    "training": {"fleet_heads": "Shared", "source_match": "SourceMatch"},
    "windows": {"sliding_windows": "SlidingWindows"},
}  # fmt: skip
_THEIRS = {
    "calibration": "CalibratedClassifierCV _CalibratedClassifier _SigmoidCalibration _TemperatureScaling",
    "compose._column_transformer": "ColumnTransformer _RemainderColsList",
    "compose._target": "TransformedTargetRegressor",
    "decomposition._pca": "PCA",
    "dummy": "DummyClassifier DummyRegressor",
    "feature_selection._univariate_selection": "SelectKBest SelectPercentile",
    "feature_selection._variance_threshold": "VarianceThreshold",
    "frozen._frozen": "FrozenEstimator",
    "impute._base": "MissingIndicator SimpleImputer",
    "isotonic": "IsotonicRegression",
    "linear_model._base": "LinearRegression",
    "linear_model._bayes": "BayesianRidge",
    "linear_model._coordinate_descent": "ElasticNet ElasticNetCV Lasso LassoCV",
    "linear_model._logistic": "LogisticRegression LogisticRegressionCV",
    "linear_model._ridge": "Ridge RidgeCV RidgeClassifier RidgeClassifierCV _RidgeGCV _IdentityRegressor",
    "metrics._scorer": "_BaseScorer _PassthroughScorer _PredictScorer _ProbaScorer _Scorer _ThresholdScorer "
    "_CurveScorer _MultimetricScorer",
    "model_selection._classification_threshold": "FixedThresholdClassifier TunedThresholdClassifierCV",
    "model_selection._search": "GridSearchCV ParameterGrid RandomizedSearchCV",
    "model_selection._split": "GroupKFold GroupShuffleSplit KFold LeaveOneGroupOut LeaveOneOut LeavePGroupsOut "
    "PredefinedSplit RepeatedKFold RepeatedStratifiedKFold ShuffleSplit StratifiedGroupKFold StratifiedKFold "
    "StratifiedShuffleSplit TimeSeriesSplit _CVIterableWrapper",
    "multiclass": "OneVsRestClassifier _ConstantPredictor",
    "multioutput": "MultiOutputClassifier MultiOutputRegressor",
    "pipeline": "FeatureUnion Pipeline",
    "preprocessing._data": "MaxAbsScaler MinMaxScaler Normalizer PowerTransformer QuantileTransformer RobustScaler "
    "StandardScaler",
    "preprocessing._discretization": "KBinsDiscretizer",
    "preprocessing._encoders": "OneHotEncoder OrdinalEncoder",
    "preprocessing._function_transformer": "FunctionTransformer",
    "preprocessing._label": "LabelBinarizer LabelEncoder",
    "preprocessing._polynomial": "PolynomialFeatures SplineTransformer",
    "utils._bunch": "Bunch",
    "utils._metadata_requests": "MetadataRequest MethodMetadataRequest",
    # functions of numbers, which read what they are given and do nothing else
    "feature_selection._univariate_selection ": "f_classif f_regression",
    "metrics._classification": "accuracy_score balanced_accuracy_score brier_score_loss cohen_kappa_score f1_score "
    "jaccard_score log_loss matthews_corrcoef precision_score recall_score",
    "metrics._ranking": "average_precision_score roc_auc_score",
    "metrics._regression": "explained_variance_score max_error mean_absolute_error mean_absolute_percentage_error "
    "mean_squared_error mean_squared_log_error median_absolute_error r2_score root_mean_squared_error",
}
_NUMPY = "abs absolute cbrt cos degrees exp exp2 expm1 fabs log log10 log1p log2 radians rint sign sin sqrt square tanh"

TRUSTED_TYPES: tuple[str, ...] = (
    *(
        f"sktransfer.{folder}.{file}.{name}"
        for folder, files in _OURS.items()
        for file, names in files.items()
        for name in names.split()
    ),
    *(f"sklearn.{module.strip()}.{name}" for module, names in _THEIRS.items() for name in names.split()),
    *(f"numpy.{name}" for name in _NUMPY.split()),
)
"""Names of classes and functions that :func:`sktransfer.load` builds without being told to."""
