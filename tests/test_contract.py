"""scikit-learn's own battery over every public estimator, with no expected failure."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from sktransfer import (
    BaselineScaler,
    FeatureExtractor,
    FineTuning,
    FromScratch,
    MLPHead,
    ProbeThenTune,
    TransferClassifier,
    TransferRegressor,
)
from tests.helpers import width_free_backbone

ESTIMATORS = [
    BaselineScaler(),
    BaselineScaler(method="robust", missing="impute"),
    TransferClassifier(),
    TransferClassifier(width_free_backbone()),
    TransferClassifier(width_free_backbone(), strategy=ProbeThenTune(), max_epochs=20),
    TransferClassifier(width_free_backbone(), head=MLPHead(), lr=0.01, max_epochs=100),
    TransferRegressor(),
    TransferRegressor(width_free_backbone()),
    TransferRegressor(width_free_backbone(), strategy=FineTuning(), lr=0.01),
    FeatureExtractor(),
    FeatureExtractor(FromScratch(arguments={"hidden_layer_sizes": (8,)})),
    FeatureExtractor(width_free_backbone(), block="mix"),
]


@parametrize_with_checks(ESTIMATORS)
@pytest.mark.filterwarnings("ignore::sktransfer.exceptions.DataQualityWarning")
def test_estimator_passes_scikit_learns_checks(estimator, check):
    check(estimator)
