"""The pipeline in chunks gives what scikit-learn's gives in one piece, in constant memory."""

import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
import sklearn.pipeline
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, TransformerMixin, clone
from sklearn.ensemble import IsolationForest, RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sktransfer import (
    BaselineScaler,
    DataQualityWarning,
    LinearProbing,
    OutOfRangeWarning,
    Pipeline,
    TransferClassifier,
    TransferRegressor,
    make_pipeline,
)
from tests.helpers import both_pipelines, moons, small_backbone

N_ROWS = 250


@pytest.fixture(autouse=True)
def short_chunks(monkeypatch):
    monkeypatch.setattr(Pipeline, "chunk_rows", 64)


@pytest.fixture(scope="module")
def rows():
    return np.random.default_rng(0).normal(size=(N_ROWS, 4)), np.resize(["leak", "normal", "wear"], N_ROWS)


class Spy(TransformerMixin, BaseEstimator):
    """Hands rows on and notes how many came."""

    def fit(self, X, y=None):
        self.seen_ = []
        return self

    def transform(self, X):
        self.seen_.append(X.shape[0] if hasattr(X, "shape") else len(X))
        return X


def frames(X):
    names = list("abcd")
    return {
        "array": X,
        "columns first": np.asfortranarray(X),
        "float32": X.astype(np.float32),
        "frame": pd.DataFrame(X, columns=names, index=np.arange(len(X))[::-1] / 2),
        "polars": pl.DataFrame(X, schema=names),
        "list": X.tolist(),
        "sparse": sparse.csr_array(X),
    }


METHODS = ["predict", "predict_proba", "predict_log_proba", "decision_function"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", frames(np.zeros((1, 4))))
def test_outputs_are_those_of_scikit_learn_for_every_kind_of_rows(rows, kind, method):
    X, y = frames(rows[0])[kind], rows[1]
    scaler = StandardScaler(with_mean=kind != "sparse")
    theirs, ours = both_pipelines([("spy", Spy()), ("scaler", scaler), ("head", LogisticRegression())], X, y)
    expected = getattr(theirs, method)(X)
    theirs[0].seen_.clear()
    found = getattr(ours, method)(X)
    assert theirs[0].seen_ == ([N_ROWS] if kind in ("list", "sparse") else [64, 64, 64, 58])
    assert found.dtype == expected.dtype
    if method == "predict":
        np.testing.assert_array_equal(found, expected)
    else:
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("kind", ["csr", "csc", "coo"])
def test_rows_that_are_no_array_go_in_one_piece(rows, kind):
    X, y = sparse.csr_array(rows[0]).asformat(kind), rows[1]
    theirs, ours = both_pipelines([("spy", Spy()), ("head", LogisticRegression())], X, y)
    theirs[0].seen_.clear()
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    assert theirs[0].seen_ == [N_ROWS, N_ROWS]


@pytest.mark.parametrize("output", ["default", "pandas", "polars"])
def test_transformed_frames_are_joined_with_their_index(rows, output):
    X = frames(rows[0])["frame"]
    theirs, ours = both_pipelines([("one", StandardScaler()), ("two", StandardScaler())], X, None)
    theirs.set_output(transform=output)
    expected, found = theirs.transform(X), ours.transform(X)
    assert type(found) is type(expected)
    if output == "pandas":
        pd.testing.assert_frame_equal(found, expected)
    else:
        np.testing.assert_array_equal(found, expected)
    assert found.shape == expected.shape


def test_sparse_outputs_texts_of_any_length_and_many_outputs_are_those_of_scikit_learn(rows):
    X, y = rows
    to_sparse = FunctionTransformer(sparse.csr_array, accept_sparse=True)
    theirs, ours = both_pipelines([("scaler", StandardScaler()), ("sparse", to_sparse)], X, y)
    assert abs(ours.transform(X) - theirs.transform(X)).max() == 0
    naming = FunctionTransformer(lambda X: np.array(["x" * int(1 + abs(3 * row[0])) for row in X]))
    theirs, ours = both_pipelines([("names", naming)], X, y)
    assert ours.transform(X).tolist() == theirs.transform(X).tolist()
    two = np.column_stack([X[:, 0] > 0, y == "wear"])
    theirs, ours = both_pipelines([("s", StandardScaler()), ("f", RandomForestClassifier(5, random_state=0))], X, two)
    for expected, found in zip(theirs.predict_proba(X), ours.predict_proba(X), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_scores_of_samples_and_outliers(rows):
    X, y = rows
    theirs, ours = both_pipelines(
        [("scaler", StandardScaler()), ("forest", IsolationForest(n_estimators=20, random_state=0))], X, y
    )
    for method in ("score_samples", "decision_function", "predict"):
        np.testing.assert_array_equal(getattr(ours, method)(X), getattr(theirs, method)(X))


def test_a_keyword_for_all_rows_keeps_them_together_and_one_a_row_is_cut_along(rows):
    X, _ = rows
    theirs, ours = both_pipelines([("scaler", StandardScaler()), ("gp", GaussianProcessRegressor())], X, X[:, 0])
    for keyword in ("return_std", "return_cov"):
        for expected, found in zip(
            theirs.predict(X, **{keyword: True}), ours.predict(X, **{keyword: True}), strict=True
        ):
            np.testing.assert_array_equal(found, expected)

    class Shifted(RegressorMixin, BaseEstimator):
        def fit(self, X, y):
            return self

        def __sklearn_is_fitted__(self):
            return True

        def predict(self, X, shift=0):
            return X[:, 0] + shift

    shift = np.arange(N_ROWS)
    theirs, ours = both_pipelines([("spy", Spy()), ("s", Shifted())], X, X[:, 0])
    theirs[0].seen_.clear()
    np.testing.assert_array_equal(ours.predict(X, shift=shift), X[:, 0] + shift)
    assert theirs[0].seen_ == [64, 64, 64, 58]
    np.testing.assert_array_equal(ours.predict(X, shift=list(shift)), X[:, 0] + shift)
    np.testing.assert_array_equal(ours.predict(X, shift=2.0), X[:, 0] + 2)


def test_routed_metadata_is_cut_along_with_the_rows():
    rng = np.random.default_rng(0)
    X, machine = rng.normal(size=(N_ROWS, 4)), np.resize([1, 2, 3], N_ROWS)
    X += 10 * machine[:, None]
    with sklearn.config_context(enable_metadata_routing=True):
        scaler = BaselineScaler().set_fit_request(sample_domain=True).set_transform_request(sample_domain=True)
        steps = [("scaler", scaler), ("head", LogisticRegression())]
        theirs = sklearn.pipeline.Pipeline(steps).fit(X, X[:, 0] > 20, sample_domain=machine)
        expected = theirs.predict_proba(X, sample_domain=machine)
        np.testing.assert_allclose(Pipeline(theirs.steps).predict_proba(X, sample_domain=machine), expected, atol=1e-12)


def test_outputs_that_are_not_one_a_row_come_from_one_piece_or_are_an_error(rows):
    X, y = rows
    theirs, ours = both_pipelines([("every second", FunctionTransformer(lambda X: X[::2]))], X, y)
    np.testing.assert_array_equal(ours.transform(X), theirs.transform(X))
    theirs, ours = both_pipelines([("sum", FunctionTransformer(lambda X: {"rows": len(X)}))], X, y)
    assert ours.transform(X) == theirs.transform(X) == {"rows": N_ROWS}
    _, ours = both_pipelines([("early", FunctionTransformer(lambda X: X[X[:, 0] < 100]))], X, y)
    late = X.copy()
    late[200:] += 1000
    with pytest.raises(ValueError, match="returned 200 outputs for 250 rows"):
        ours.transform(late)


def test_no_row_is_the_error_that_scikit_learn_gives(rows):
    X, y = rows
    theirs, ours = both_pipelines([("scaler", StandardScaler()), ("head", LogisticRegression())], X, y)
    for empty in (X[:0], pd.DataFrame(X[:0])):
        with pytest.raises(ValueError, match="0 sample") as expected:
            theirs.predict(empty)
        with pytest.raises(ValueError, match="0 sample") as found:
            ours.predict(empty)
        assert str(found.value) == str(expected.value)


def test_it_is_scikit_learn_s_pipeline_in_everything_else(rows, tmp_path):
    X, y = rows
    pipe = make_pipeline(StandardScaler(), LogisticRegression(), memory=str(tmp_path), verbose=False)
    assert isinstance(pipe, sklearn.pipeline.Pipeline)
    with pytest.raises(NotFittedError):
        pipe.predict(X)
    copied = clone(pipe).set_params(logisticregression__C=0.5).fit(X, y)
    assert type(copied) is type(copied[:1]) is Pipeline
    assert (copied.memory, copied[-1].C, pipe[-1].C) == (str(tmp_path), 0.5, 1.0)
    assert copied.score(X, y) == sklearn.pipeline.Pipeline(copied.steps).score(X, y)
    nested = Pipeline([("inner", make_pipeline(Spy(), StandardScaler())), ("head", clone(pipe[-1]))]).fit(X, y)
    nested[0][0].seen_.clear()
    nested.predict(X)
    assert nested[0][0].seen_ == [64, 64, 64, 58]
    assert not hasattr(copied, "transform")
    assert not hasattr(make_pipeline(StandardScaler(), Ridge()), "predict_proba")
    with pytest.raises(AttributeError, match="predict_proba"):
        make_pipeline(StandardScaler(), Ridge()).predict_proba(X)
    params = {"steps", "memory", "verbose", "transform_input"}
    assert set(pipe.get_params(deep=False)) == set(sklearn.pipeline.Pipeline([]).get_params(deep=False)) == params


def warned(call, category):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    return [w for w in caught if issubclass(w.category, category)]


def test_rows_out_of_range_are_counted_over_all_chunks_in_one_warning_at_the_caller():
    X, y = moons(300)
    model = TransferClassifier(small_backbone(max_epochs=1), strategy=LinearProbing())
    theirs, ours = both_pipelines([("scaler", StandardScaler()), ("net", model)], X, y)
    far = X[:N_ROWS].copy()
    far[[3, 70, 71, 249]] *= 1e3
    for method in ("predict_proba", "predict"):
        expected, found = (warned(partial(getattr(pipe, method), far), OutOfRangeWarning) for pipe in (theirs, ours))
        assert [str(w.message) for w in found] == [str(w.message) for w in expected]
        assert "4 of 250 rows" in str(found[0].message)
    assert Path(found[0].filename) == Path(__file__)
    assert warned(lambda: ours.predict(X[:N_ROWS]), OutOfRangeWarning) == []
    outer = Pipeline([("inner", ours)])
    ours.chunk_rows = 20
    assert len(warned(lambda: outer.predict(far), OutOfRangeWarning)) == 1


def test_stuck_and_far_sensors_are_said_once_with_all_their_columns():
    rng = np.random.default_rng(0)
    pipe = make_pipeline(BaselineScaler()).fit(rng.normal(size=(200, 3)))
    X = rng.normal(size=(200, 3))
    X[10], X[100, 1], X[150, 2] = [1e9, 0, 0], 1e9, 1e9
    X[70:120, 0], X[150:180, 0] = 0.5, 0.7
    found = sorted(str(w.message) for w in warned(lambda: pipe.transform(X), DataQualityWarning))
    assert len(found) == 2
    assert "3 of 200 rows lie further" in found[0]
    assert "['x0', 'x1', 'x2']" in found[0]
    assert "['x0'] do not change over 50 rows" in found[1]


def test_a_failing_chunk_leaves_no_open_count():
    X, y = moons(300)
    ours = make_pipeline(StandardScaler(), TransferClassifier(small_backbone(max_epochs=1), strategy=LinearProbing()))
    ours.fit(X, y)
    broken = X.copy()
    broken[280] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        ours.predict(broken)
    assert len(warned(lambda: ours[-1].predict(1e3 * X[:5]), OutOfRangeWarning)) == 1


@pytest.fixture(scope="module")
def backbone():
    return small_backbone(max_epochs=5)


class TwoAnswers(ClassifierMixin, BaseEstimator):
    """Predicts labels and, beside them, something else: not one output a row."""

    def __init__(self, model=None):
        self.model = model

    def fit(self, X, y):
        self.model.fit(X, y)
        self.fitted_ = True
        return self

    def predict(self, X):
        return self.model.predict(X), len(X)


class Pieces(BaseEstimator):
    """A step that notes how many rows come at once."""

    def __init__(self, seen=None):
        self.seen = seen

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def transform(self, X):
        self.seen.append(len(X))
        return X


@pytest.mark.parametrize("frame", [False, True])
def test_chunks_of_frames_keep_one_index(frame):
    X = np.random.default_rng(0).normal(size=(250, 3))
    X = pd.DataFrame(X, columns=list("abc"), index=np.arange(250) * 2) if frame else X
    steps = [("scale", StandardScaler())]
    ours = Pipeline(steps).set_output(transform="pandas").fit(X).transform(X)
    theirs = sklearn.pipeline.Pipeline(steps).set_output(transform="pandas").fit(X).transform(X)
    pd.testing.assert_frame_equal(ours, theirs)


def test_rows_are_counted_once_where_chunks_turn_out_not_to_go(backbone):
    X, y = moons(250)
    pipe = Pipeline([("last", TwoAnswers(TransferClassifier(backbone, strategy=LinearProbing())))]).fit(X, y)
    with pytest.warns(OutOfRangeWarning, match="250 of 250 rows"):
        pipe.predict(X * 1e4)


@pytest.mark.parametrize("model", [TransferClassifier, TransferRegressor])
def test_scores_are_those_of_predictions_in_chunks(backbone, model):
    X, y = moons(250)
    y = y if model is TransferClassifier else X[:, 0]
    weight = np.random.default_rng(0).uniform(size=250)
    steps = [("pieces", Pieces([])), ("last", model(backbone, strategy=LinearProbing()))]
    pipe = Pipeline(steps).fit(X, y)
    expected = sklearn.pipeline.Pipeline.score(pipe.set_params(pieces__seen=[]), X, y, sample_weight=weight)
    pipe.set_params(pieces__seen=[])
    assert pipe.score(X, y, sample_weight=weight) == pytest.approx(expected)
    assert pipe.named_steps["pieces"].seen == [64, 64, 64, 58]


def test_a_chunk_with_rows_too_many_is_an_error():
    class Doubles(Pieces):
        def transform(self, X):
            return np.repeat(X, 2, axis=0) if len(X) == 58 else X

    X = np.zeros((250, 2))
    pipe = Pipeline([("doubles", Doubles())]).fit(X)
    with pytest.raises(ValueError, match="308 outputs for 250 rows"):
        pipe.transform(X)
