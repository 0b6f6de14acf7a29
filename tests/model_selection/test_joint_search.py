"""A batched search over fits on several machines beside scikit-learn's: the same networks, one by one."""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import GridSearchCV, PredefinedSplit

from sktransfer import (
    DANN,
    MCC,
    MMD,
    Alignment,
    BatchedGridSearchCV,
    DataQualityWarning,
    DeepCORAL,
    DomainAdaptationClassifier,
    DomainAdaptationRegressor,
    FineTuning,
    FromScratch,
    Guarded,
    LinearProbing,
)
from tests.helpers import computing_in, moons, small_backbone

SMALL = FromScratch(arguments={"hidden_layer_sizes": (8, 6), "dropout": 0.2})
PLAIN = FromScratch(arguments={"hidden_layer_sizes": (8,), "batch_norm": False})


def machines(n_labelled=24):
    """Two source machines and a target of which some rows have a label; splits hold out some of these."""
    X, y = moons(260, seed=1)
    domain = np.repeat([1, 2, -1], [90, 70, 100])
    X[domain < 0] += 0.3
    marked = y.astype(object)
    marked[160 + n_labelled :] = None
    fold = np.full(len(X), -1)
    fold[160 : 160 + n_labelled] = np.resize([0, 1], n_labelled)
    return X, marked, domain, list(PredefinedSplit(fold).split())


def both(model, grid, X, y, domain, splits):
    """scikit-learn's search and ours, in float64."""
    found = []
    for search in (GridSearchCV, BatchedGridSearchCV):
        with computing_in(np.float64), warnings.catch_warnings():
            warnings.simplefilter("ignore", DataQualityWarning)
            found.append(
                search(model, grid, cv=splits, error_score="raise", refit=True, scoring="neg_log_loss").fit(
                    X, y, sample_domain=domain
                )
            )
    return found


def scores(search):
    return np.array([search.cv_results_[f"split{k}_test_score"] for k in range(search.n_splits_)])


@pytest.mark.parametrize(
    ("model", "grid"),
    [
        (DomainAdaptationClassifier(SMALL, lr=0.01), {"alignment": [DeepCORAL(0.1), DeepCORAL(1.0), MMD(), MCC()]}),
        (DomainAdaptationClassifier(SMALL, lr=0.01), {"alignment": [DANN(), DANN(0.1)], "lr": [0.01, 0.02]}),
        (DomainAdaptationClassifier(SMALL, alignment=None), {"target_weight": [0.2, 0.8]}),
        (DomainAdaptationClassifier(PLAIN), {"alignment": [MCC(), None], "lr": [0.01, 0.02]}),
        (
            DomainAdaptationClassifier(SMALL),
            {"alignment": [MMD(prior=[0.2, 0.2, 0.6]), MMD(prior=[0.6, 0.2, 0.2]), MMD()]},
        ),
    ],
    ids=["kinds", "adversary", "weights", "with and without", "priors"],
)
def test_stacked_fits_are_the_fits_alone(model, grid):
    data = machines()
    model.set_params(max_epochs=3, random_state=0)
    one_by_one, stacked = both(model, grid, *data)
    assert set(stacked.cv_results_["how"]) == {"stacked"}
    np.testing.assert_allclose(scores(stacked), scores(one_by_one), rtol=0, atol=1e-9)
    assert np.ptp(scores(stacked), axis=1).min() > 1e-5  # the candidates are not all the same network


def test_a_pretrained_network_with_frozen_blocks_stacks_too():
    model = DomainAdaptationClassifier(small_backbone(0, max_epochs=8), max_epochs=3, random_state=0)
    grid = {"strategy": [FineTuning(n_frozen_blocks=1), FineTuning(n_frozen_blocks=2)], "lr": [0.01, 0.03]}
    one_by_one, stacked = both(model, grid, *machines())
    assert set(stacked.cv_results_["how"]) == {"stacked"}
    np.testing.assert_allclose(scores(stacked), scores(one_by_one), rtol=0, atol=1e-9)


def test_folds_with_other_numbers_of_labels_train_in_stacks_of_their_own():
    X, y, domain, _ = machines()
    fold = np.full(len(X), -1)
    fold[160:184] = np.repeat([0, 1], [9, 15])
    splits = list(PredefinedSplit(fold).split())
    model = DomainAdaptationClassifier(SMALL, max_epochs=3, random_state=0)
    one_by_one, stacked = both(model, {"alignment": [MCC(), MCC(0.1)]}, X, y, domain, splits)
    assert set(stacked.cv_results_["how"]) == {"stacked"}
    np.testing.assert_allclose(scores(stacked), scores(one_by_one), rtol=0, atol=1e-9)


def test_a_regressor_stacks_and_keeps_the_range_of_rows_without_a_label():
    X, _, domain, splits = machines()
    values = np.where(np.arange(len(X)) < 184, X[:, 0] * X[:, 1] + 100, np.nan)
    model = DomainAdaptationRegressor(SMALL, max_epochs=3, random_state=0)
    found = []
    for search in (GridSearchCV, BatchedGridSearchCV):
        with computing_in(np.float64):
            one = search(model, {"alignment": [DeepCORAL(), None]}, cv=splits).fit(X, values, sample_domain=domain)
        found.append(one)
    np.testing.assert_allclose(scores(found[1]), scores(found[0]), rtol=0, atol=1e-9)
    assert set(found[1].cv_results_["how"]) == {"stacked"}


def test_histories_and_attributes_are_those_of_a_fit_alone():
    X, y, domain, splits = machines()
    model = DomainAdaptationClassifier(SMALL, max_epochs=3, random_state=0)
    kept = []

    def noting(estimator, X, y):
        kept.append(estimator)
        return 0.0

    with computing_in(np.float64):
        grid = {"alignment": [DANN(), MMD()]}
        BatchedGridSearchCV(model, grid, cv=splits, scoring=noting, refit=False).fit(X, y, sample_domain=domain)
        for number, fitted in enumerate(kept):
            train = splits[number % 2][0]
            alone = DomainAdaptationClassifier(
                SMALL, alignment=grid["alignment"][number // 2], max_epochs=3, random_state=0
            ).fit(X[train], y[train], sample_domain=domain[train])
            for mine, own in zip(fitted.history_, alone.history_, strict=True):
                assert mine["alignment_loss"] == pytest.approx(own["alignment_loss"], abs=1e-9)
                assert mine["train_loss"] == pytest.approx(own["train_loss"], abs=1e-9)
            assert fitted.domains_ == alone.domains_
            assert fitted.n_unlabelled_ == alone.n_unlabelled_ == 76
            assert repr(fitted.alignment_) == repr(alone.alignment_)
            inputs, own_inputs = fitted.backbone_.inputs, alone.backbone_.inputs
            assert np.array_equal(inputs.minimum, own_inputs.minimum)
            assert np.array_equal(inputs.maximum, own_inputs.maximum)


class Broken(Alignment):
    """Not finite after some steps, for one weight alone."""

    def __init__(self, weight=1.0):
        self.weight = weight

    def loss(self, source, target, outputs, *, network=None, progress=1.0):
        loss = source.mean(dim=(-2, -1)) - target.mean(dim=(-2, -1))
        return loss * (float("nan") if self.weight == 3.0 and progress > 0.4 else 1.0)


def test_an_alignment_that_is_not_finite_ends_its_own_fit_alone():
    X, y, domain, splits = machines()
    model = DomainAdaptationClassifier(SMALL, max_epochs=3, random_state=0)
    grid = {"alignment": [Broken(0.1), Broken(3.0)]}
    with pytest.warns(FitFailedWarning, match="The loss of alignment=Broken"):
        found = BatchedGridSearchCV(model, grid, cv=splits).fit(X, y, sample_domain=domain)
    assert np.isnan(scores(found)).tolist() == [[False, True]] * 2


def test_what_does_not_stack_says_why():
    X, y, domain, splits = machines()
    model = DomainAdaptationClassifier(SMALL, max_epochs=2, random_state=0)
    guarded = {"alignment": [Guarded(MCC())]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataQualityWarning)
        found = BatchedGridSearchCV(model, guarded, cv=splits).fit(X, y, sample_domain=domain)
    assert found.why_alone_ == ["a guard compares two fits"]
    labelled = np.flatnonzero(y.astype(bool))[:160]
    with pytest.warns(DataQualityWarning, match="got no sample_domain"):
        found = BatchedGridSearchCV(model, {"lr": [0.01]}, cv=2).fit(X[labelled], y[labelled].astype(str))
    assert found.why_alone_ == ["fit is passed no sample_domain"]


def test_frozen_blocks_with_an_alignment_are_refused_as_in_a_fit_alone():
    X, y, domain, splits = machines()
    model = DomainAdaptationClassifier(
        small_backbone(0, max_epochs=8), alignment=MMD(), strategy=LinearProbing(), max_epochs=2
    )
    with pytest.raises(ValueError, match="changes features, but"):
        BatchedGridSearchCV(model, {"lr": [0.01]}, cv=splits, error_score="raise").fit(X, y, sample_domain=domain)
