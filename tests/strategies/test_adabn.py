"""AdaBN in a TransferClassifier: the statistics are those of the rows of fit, and stay."""

import numpy as np
import pytest
from sklearn.base import clone

from sktransfer import (
    AdaBN,
    BatchedGridSearchCV,
    FineTuning,
    FromScratch,
    LinearProbing,
    ProbeThenTune,
    Strategy,
    TransferClassifier,
    TransferRegressor,
)
from sktransfer.training.frozen_features import FrozenFeatures
from sktransfer.training.start import start_fit
from tests.helpers import moons, small_backbone


@pytest.fixture(scope="module")
def backbone():
    return small_backbone(max_epochs=10)


@pytest.fixture(scope="module")
def rows():
    X, y = moons(60, seed=3)
    return X * 1.5 + 0.7, y


def first_layer(backbone):
    weights = backbone.weights[0]
    return np.asarray(weights["0.weight"]), np.asarray(weights["1.running_mean"]), np.asarray(weights["1.running_var"])


def test_statistics_become_those_of_the_rows_whatever_else_the_strategy_does(backbone, rows):
    X, y = rows
    expected = X.astype(np.float32) @ first_layer(backbone)[0].T
    for strategy in (AdaBN(0) & LinearProbing(), LinearProbing() & AdaBN(0), AdaBN(0) & ProbeThenTune()):
        model = TransferClassifier(backbone, strategy=strategy, max_epochs=2, random_state=0).fit(X, y)
        _, mean, variance = first_layer(model.backbone_)
        np.testing.assert_allclose(mean, expected.mean(axis=0), rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(variance, expected.var(axis=0, ddof=1), rtol=1e-3)


def test_the_backbone_of_the_caller_does_not_change_and_without_the_strategy_nor_do_statistics(backbone, rows):
    before = [array.copy() for array in first_layer(backbone)]
    TransferClassifier(backbone, strategy=AdaBN() & LinearProbing(), random_state=0).fit(*rows)
    for old, new in zip(before, first_layer(backbone), strict=True):
        np.testing.assert_array_equal(old, new)
    tuned = TransferClassifier(backbone, max_epochs=2, random_state=0).fit(*rows)
    np.testing.assert_array_equal(first_layer(tuned.backbone_)[1], before[1])


def test_a_moved_machine_is_classified_better_than_without_it(backbone):
    X, y = moons(400, seed=4)
    X = X * 1.5 + 0.7
    few = np.concatenate([np.flatnonzero(y == label)[:5] for label in np.unique(y)])
    plain, adapted = (
        TransferClassifier(backbone, strategy=strategy, random_state=0).fit(X[few], y[few]).score(X, y)
        for strategy in (LinearProbing(alpha=1.0), AdaBN() & LinearProbing(alpha=1.0))
    )
    assert adapted > plain


def test_candidates_of_a_search_are_measured_on_the_rows_of_their_own_fold(backbone, rows):
    X, y = rows
    strategies = [LinearProbing(alpha=1.0), AdaBN(0) & LinearProbing(alpha=1.0), AdaBN(8) & FineTuning()]
    model = TransferClassifier(backbone, max_epochs=2, random_state=0)
    halves = [(np.arange(30), np.arange(30, 60)), (np.arange(30, 60), np.arange(30))]
    search = BatchedGridSearchCV(model, {"strategy": strategies}, cv=halves).fit(X, y)
    for number, strategy in enumerate(strategies):
        for fold, (train, test) in enumerate(halves):
            alone = TransferClassifier(backbone, strategy=strategy, max_epochs=2, random_state=0).fit(
                X[train], y[train]
            )
            assert search.cv_results_[f"split{fold}_test_score"][number] == pytest.approx(alone.score(X[test], y[test]))
    assert search.cv_results_["how"].tolist() == ["solved", "alone", "alone"]
    assert "BatchNorm" in search.why_alone_[1]


def test_features_that_other_fits_share_are_not_taken_for_those_of_its_own_statistics(backbone, rows):
    model = TransferClassifier(backbone, strategy=AdaBN(0) & LinearProbing(), random_state=0)
    checked, task, resolved = model._check(*rows, None, 0)
    shared = FrozenFeatures(checked.X)
    plain = clone(model).set_params(strategy=LinearProbing())
    before = start_fit(plain, checked, task, resolved, 0, shared).features
    alone = start_fit(model, checked, task, resolved, 0).features
    np.testing.assert_array_equal(start_fit(model, checked, task, resolved, 0, shared).features, alone)
    assert not np.allclose(before, alone)


def test_from_scratch_it_is_neutral(rows):
    X, y = rows
    small = FromScratch(arguments={"hidden_layer_sizes": (8,)})
    one, other = (
        TransferClassifier(small, strategy=strategy, max_epochs=3, random_state=0).fit(X, y)
        for strategy in (Strategy(), AdaBN(0))
    )
    np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(X))


def test_a_regressor_takes_it(rows):
    X = rows[0]
    source = TransferRegressor(max_epochs=5, random_state=0).fit(X, X[:, 0])
    model = TransferRegressor(source.backbone_, strategy=AdaBN(0) & LinearProbing(), random_state=0).fit(X + 1, X[:, 1])
    expected = (X + 1).astype(np.float32) @ first_layer(source.backbone_)[0].T
    np.testing.assert_allclose(first_layer(model.backbone_)[1], expected.mean(axis=0), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("n_source", [-1, "16", None, np.nan, True])
def test_what_is_no_number_of_rows_is_an_error_that_names_the_parameter(backbone, rows, n_source):
    with pytest.raises(ValueError, match="AdaBN got n_source="):
        TransferClassifier(backbone, strategy=AdaBN(n_source)).fit(*rows)
