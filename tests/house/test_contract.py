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
# These few epochs reach the accuracies that the checks ask for. What else is checked is the same after any epoch.
FEW = {"lr": 0.01, "max_epochs": 5}
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
    TransferClassifier(**FEW),
    TransferClassifier(width_free_backbone(), max_epochs=5),
    TransferRegressor(**FEW),
    DomainAdaptationClassifier(**FEW),
    DomainAdaptationClassifier(width_free_backbone(), max_epochs=5),
    DomainAdaptationRegressor(**FEW),
    MultiTaskTransfer(**FEW),
    MultiTaskTransfer(width_free_backbone(), max_epochs=5),
    FleetClassifier(),
    FleetClassifier(width_free_backbone()),
    TransferDetector(),
    TransferDetector(width_free_backbone(), statistic=PrincipalComponents(), fault_share=0.1),
    TransferRegressor(width_free_backbone(), max_epochs=5),
    FeatureExtractor(),
    FeatureExtractor(FromScratch(arguments={"hidden_layer_sizes": (8,)})),
    FeatureExtractor(width_free_backbone(), block="mix"),
    BatchedGridSearchCV(TransferClassifier(SMALL, **FEW, random_state=0), {"lr": [0.01, 0.02]}, cv=2),
    BatchedGridSearchCV(TransferRegressor(width_free_backbone(), strategy=LinearProbing()), PULLS, cv=2),
    BatchedRandomizedSearchCV(
        make_pipeline(StandardScaler(), TransferClassifier(width_free_backbone(), strategy=LinearProbing())),
        {f"transferclassifier__{name}": values for name, values in PULLS.items()},
        n_iter=1,
        cv=2,
    ),
]
# `make slow` checks these. `ESTIMATORS` holds the same classes from scratch and with a backbone.
SLOW = [
    TransferClassifier(),  # the defaults train for hundreds of epochs, which takes a minute and a half for the two
    TransferRegressor(),
    TransferClassifier(width_free_backbone(), strategy=ProbeThenTune(), max_epochs=5),
    TransferClassifier(width_free_backbone(), head=MLPHead(), **FEW),
    FleetClassifier(width_free_backbone(), baseline=BaselineScaler()),
    TransferRegressor(width_free_backbone(), strategy=FineTuning(), **FEW),
]


@parametrize_with_checks(ESTIMATORS)
@pytest.mark.filterwarnings("ignore::sktransfer.exceptions.DataQualityWarning")
def test_estimator_passes_scikit_learns_checks(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks(SLOW)
@pytest.mark.filterwarnings("ignore::sktransfer.exceptions.DataQualityWarning")
def test_other_settings_pass_scikit_learns_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("kind", sorted({type(estimator) for estimator in SLOW}, key=lambda kind: kind.__name__))
def test_what_has_slow_settings_is_checked_from_scratch_and_with_a_backbone_without_them(kind):
    assert {estimator.backbone is None for estimator in ESTIMATORS if type(estimator) is kind} == {True, False}
