"""scikit-learn's own battery over every public estimator, with no expected failure."""

import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from sktransfer import (
    BaselineScaler,
    BatchedGridSearchCV,
    BatchedRandomizedSearchCV,
    DomainAdaptationClassifier,
    DomainAdaptationRegressor,
    FeatureExtractor,
    FineTuning,
    FleetClassifier,
    FromScratch,
    LaggedWindows,
    LinearProbing,
    MLPHead,
    MultiTaskTransfer,
    PrincipalComponents,
    ProbeThenTune,
    TransferClassifier,
    TransferDetector,
    TransferRegressor,
    WindowScaler,
)
from tests.helpers import width_free_backbone

SMALL = FromScratch(arguments={"hidden_layer_sizes": (16,)})
PULLS = {"strategy__alpha": [0.01, "auto"]}
ESTIMATORS = [
    BaselineScaler(),
    BaselineScaler(method="robust", missing="impute"),
    BaselineScaler(whiten=True, absolute=True),
    LaggedWindows(),
    LaggedWindows(1, order="time-major", newest_first=True),
    WindowScaler(),
    WindowScaler("robust"),
    WindowScaler("center"),
    TransferClassifier(),
    TransferClassifier(width_free_backbone(), max_epochs=30),
    TransferClassifier(width_free_backbone(), strategy=ProbeThenTune(), max_epochs=20),
    TransferClassifier(width_free_backbone(), head=MLPHead(), lr=0.01, max_epochs=30),
    TransferRegressor(),
    DomainAdaptationClassifier(max_epochs=30),
    DomainAdaptationClassifier(width_free_backbone(), max_epochs=20),
    DomainAdaptationRegressor(max_epochs=30),
    MultiTaskTransfer(max_epochs=30),
    MultiTaskTransfer(width_free_backbone(), max_epochs=20),
    FleetClassifier(),
    FleetClassifier(width_free_backbone()),
    FleetClassifier(width_free_backbone(), baseline=BaselineScaler()),
    TransferDetector(),
    TransferDetector(width_free_backbone(), statistic=PrincipalComponents(), fault_share=0.1),
    TransferRegressor(width_free_backbone(), max_epochs=30),
    TransferRegressor(width_free_backbone(), strategy=FineTuning(), lr=0.01, max_epochs=30),
    FeatureExtractor(),
    FeatureExtractor(FromScratch(arguments={"hidden_layer_sizes": (8,)})),
    FeatureExtractor(width_free_backbone(), block="mix"),
    BatchedGridSearchCV(TransferClassifier(SMALL, lr=0.01, max_epochs=30, random_state=0), {"lr": [0.01, 0.02]}, cv=2),
    BatchedGridSearchCV(TransferRegressor(width_free_backbone(), strategy=LinearProbing()), PULLS, cv=2),
    BatchedRandomizedSearchCV(
        make_pipeline(StandardScaler(), TransferClassifier(width_free_backbone(), strategy=LinearProbing())),
        {f"transferclassifier__{name}": values for name, values in PULLS.items()},
        n_iter=1,
        cv=2,
    ),
]


@parametrize_with_checks(ESTIMATORS)
@pytest.mark.filterwarnings("ignore::sktransfer.exceptions.DataQualityWarning")
def test_estimator_passes_scikit_learns_checks(estimator, check):
    check(estimator)
