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
    TransferClassifier(width_free_backbone(), strategy=ProbeThenTune(), max_epochs=5),
    TransferClassifier(width_free_backbone(), head=MLPHead(), **FEW),
    TransferRegressor(**FEW),
    DomainAdaptationClassifier(**FEW),
    DomainAdaptationClassifier(width_free_backbone(), max_epochs=5),
    DomainAdaptationRegressor(**FEW),
    MultiTaskTransfer(**FEW),
    MultiTaskTransfer(width_free_backbone(), max_epochs=5),
    FleetClassifier(),
    FleetClassifier(width_free_backbone()),
    FleetClassifier(width_free_backbone(), baseline=BaselineScaler()),
    TransferDetector(),
    TransferDetector(width_free_backbone(), statistic=PrincipalComponents(), fault_share=0.1),
    TransferRegressor(width_free_backbone(), max_epochs=5),
    TransferRegressor(width_free_backbone(), strategy=FineTuning(), **FEW),
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
# Their defaults train for hundreds of epochs, which takes a minute and a half.
# `ESTIMATORS` holds the same networks with few epochs.
DEFAULTS = [TransferClassifier(), TransferRegressor()]


@parametrize_with_checks(ESTIMATORS)
@pytest.mark.filterwarnings("ignore::sktransfer.exceptions.DataQualityWarning")
def test_estimator_passes_scikit_learns_checks(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks(DEFAULTS)
@pytest.mark.filterwarnings("ignore::sktransfer.exceptions.DataQualityWarning")
def test_estimator_passes_scikit_learns_checks_as_it_comes(estimator, check):
    check(estimator)


def test_what_is_slow_is_checked_in_fewer_epochs_too():
    few = {"lr", "max_epochs"}
    for slow in DEFAULTS:
        alike = [fast for fast in ESTIMATORS if type(fast) is type(slow)]
        assert any(changed_parameters(fast) <= few for fast in alike)


def changed_parameters(estimator):
    """Names of the parameters that are not the defaults."""
    defaults = type(estimator)().get_params(deep=False)
    return {name for name, value in estimator.get_params(deep=False).items() if value != defaults[name]}
