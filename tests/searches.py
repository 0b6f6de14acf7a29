"""A search beside scikit-learn's: the same candidates, splits and scores."""

import functools
import warnings

import numpy as np
from scipy.stats import rankdata
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sktransfer import BatchedGridSearchCV, FineTuning, FromScratch, MLPHead, TransferClassifier, TransferRegressor
from tests.helpers import computing_in, moons, small_backbone

X, Y = moons(90)
VALUES = np.column_stack([X[:, 0] * X[:, 1], X[:, 2] + 1.0])
SMALL = FromScratch(arguments={"hidden_layer_sizes": (8, 6), "dropout": 0.2})
HEAD = MLPHead((8,), dropout=0.3)
FROZEN = FineTuning(n_frozen_blocks="all")
LR = [0.003, 0.03]


@functools.cache
def backbone(seed=0, width=16):
    """A pretrained backbone of three blocks."""
    if width == 16:
        return small_backbone(seed, max_epochs=8)
    recipe = FromScratch(arguments={"hidden_layer_sizes": (12, 12, width)})
    return TransferClassifier(recipe, max_epochs=2, random_state=seed).fit(*moons(200, seed)).backbone_


def model(source="pretrained", **parameters):
    """A classifier that trains a small head for a moment."""
    parameters = {"head": HEAD, "strategy": FROZEN, "max_epochs": 3, "lr": 0.01, "random_state": 0, **parameters}
    return TransferClassifier(backbone() if source == "pretrained" else source, **parameters)


def pipeline(source="pretrained", **parameters):
    """`model` behind a StandardScaler."""
    return make_pipeline(StandardScaler(), model(source, **parameters))


def regression(**parameters):
    """A regressor behind a StandardScaler."""
    parameters = {"max_epochs": 3, "lr": 0.01, "random_state": 0, **parameters}
    return make_pipeline(StandardScaler(), TransferRegressor(backbone(), **parameters))


def grid(**values):
    """A grid for the last step of `pipeline`."""
    return {f"transferclassifier__{name}": value for name, value in values.items()}


def scores(search):
    """Columns of scores and ranks."""
    kinds = ("split", "mean_t", "std_t", "rank")  # mean_test_..., mean_train_...
    return {name: column for name, column in search.cv_results_.items() if name.startswith(kinds)}


def how(search):
    """In what ways the candidates ran."""
    return set(search.cv_results_["how"].tolist())


def places(means):
    """Ranks of scores; what agrees to nine digits ties."""
    return rankdata(-np.round(means, 9), method="min")


def assert_same_results(batched, plain):
    """Every column but the times, and the best candidate."""
    assert {*plain.cv_results_, "how"} == set(batched.cv_results_)
    assert str(batched.cv_results_["params"]) == str(plain.cv_results_["params"])
    assert len(scores(plain)) >= 3
    for name, column in scores(plain).items():
        found = batched.cv_results_[name]
        if name.startswith("rank_"):
            # candidates that tie but for the last digit are ranked by chance
            mean = name.replace("rank_", "mean_")
            found, column = (places(search.cv_results_[mean]) for search in (batched, plain))
        np.testing.assert_allclose(found, column, rtol=1e-9, atol=1e-12, err_msg=name)
    for name in ("n_splits_", "multimetric_", "best_index_", "best_params_", "best_score_"):
        assert hasattr(batched, name) == hasattr(plain, name)
        if hasattr(plain, name) and name != "best_score_":
            assert str(getattr(batched, name)) == str(getattr(plain, name))


def both(estimator, candidates, X=X, y=Y, fit=None, searches=(BatchedGridSearchCV, GridSearchCV), **options):
    """Both searches in float64, compared; the batched one."""
    options = {"cv": 3, "scoring": "neg_log_loss", **options}
    batched, plain = (search(estimator, candidates, **options) for search in searches)
    with computing_in(np.float64), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plain.fit(X, y, **(fit or {}))
        batched.fit(X, y, **(fit or {}))
        assert_same_results(batched, plain)
        if hasattr(plain, "best_estimator_"):
            np.testing.assert_array_equal(batched.predict(X), plain.predict(X))
            assert type(batched.best_estimator_) is type(plain.best_estimator_)
    return batched
