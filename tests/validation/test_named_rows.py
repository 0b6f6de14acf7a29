"""Names of columns behind a scaler, and names that scikit-learn does not compare."""

import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import sktransfer
from sktransfer import (
    BaselineScaler,
    BatchedGridSearchCV,
    FeatureExtractor,
    FromScratch,
    LinearProbing,
    SourceClassifier,
    TransferClassifier,
    Windows,
)
from sktransfer.validation.named_rows import NamedRows

COLUMNS = ["flow", "pressure", "speed", "load", "current"]
rng = np.random.default_rng(0)
y = np.repeat(["normal", "leak", "wear"], 40)
X = pd.DataFrame(rng.normal(size=(120, 5)) + 6 * np.eye(5)[[0, 1, 2]].repeat(40, axis=0), columns=COLUMNS)
SMALL = FromScratch(arguments={"hidden_layer_sizes": (16,)})


@pytest.fixture(scope="module")
def backbone():
    pipeline = make_pipeline(BaselineScaler(normal_label="normal"), TransferClassifier(SMALL, random_state=0))
    return pipeline.fit(X, y)[-1].backbone_


def scaled(estimator, frozen=False, make=make_pipeline):
    scaler = BaselineScaler(normal_label="normal")
    return make(FrozenEstimator(scaler.fit(X[X.columns[::-1]], y)) if frozen else scaler, estimator)


def test_a_backbone_that_was_pretrained_behind_a_scaler_knows_its_columns(backbone):
    assert backbone.inputs.names == tuple(COLUMNS)


ESTIMATORS = [
    lambda backbone: TransferClassifier(backbone, strategy=LinearProbing(), random_state=0),
    lambda backbone: FeatureExtractor(backbone),
    lambda backbone: SourceClassifier(backbone),
]


@pytest.mark.parametrize("make", [make_pipeline, sktransfer.make_pipeline], ids=["scikit-learn's", "ours"])
@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=["classifier", "extractor", "source"])
def test_columns_in_another_order_are_an_error_behind_a_scaler_too(backbone, estimator, frozen, make):
    pipeline = scaled(estimator(backbone), frozen, make)
    with pytest.raises(ValueError, match=r"columns of backbone 'fitted' in another order.*backbone\.inputs\.names"):
        pipeline.fit(X[COLUMNS[::-1]], y)
    if not frozen:
        pipeline.fit(X, y)


def test_other_names_behind_a_scaler_are_a_warning(backbone):
    pipeline = scaled(ESTIMATORS[0](backbone))
    with pytest.warns(UserWarning, match="other column names than backbone 'fitted'.*'tag0' where it had 'flow'"):
        pipeline.fit(X.set_axis([f"tag{i}" for i in range(5)], axis=1), y)


def test_in_a_search_the_order_is_compared_too(backbone):
    search = BatchedGridSearchCV(
        scaled(ESTIMATORS[0](backbone)), {"transferclassifier__strategy__alpha": [0.1, 1.0]}, cv=2, error_score="raise"
    )
    with pytest.raises(ValueError, match="in another order"):
        search.fit(X[COLUMNS[::-1]], y)


def test_arrays_and_sound_frames_are_quiet(backbone, recwarn):
    pipeline = scaled(ESTIMATORS[0](backbone)).fit(X, y)
    pipeline.predict(X[:9])
    pipeline.predict_proba(X.iloc[::-1])
    scaled(ESTIMATORS[0](backbone)).fit(X.to_numpy(), y).predict(X.to_numpy())
    assert [str(w.message) for w in recwarn] == []


def test_scaled_rows_are_an_array_like_any_other_and_lose_their_names_with_every_change():
    scaler = BaselineScaler().fit(X)
    found, plain = scaler.transform(X), BaselineScaler().fit(X.to_numpy()).transform(X.to_numpy())
    assert type(plain) is np.ndarray
    assert isinstance(found, NamedRows)
    assert found.columns == tuple(COLUMNS)
    np.testing.assert_array_equal(found, plain)
    for changed in (found[:, ::-1], found[3], found[found[:, 0] > 0], 2 * found, found + found, np.abs(found)):
        assert type(changed) is np.ndarray
    for changed in (found.T, found.reshape(-1, 1), found.copy(), found.view()):
        assert getattr(changed, "columns", None) is None
    assert np.isscalar(found.sum())
    assert type(found.mean(axis=0)) is np.ndarray
    again = pickle.loads(pickle.dumps(found))
    assert again.columns == found.columns
    np.testing.assert_array_equal(again, plain)


def test_a_pipeline_in_chunks_still_fills_one_array():
    pipe = sktransfer.make_pipeline(BaselineScaler()).fit(X)
    pipe.chunk_rows = 50
    np.testing.assert_allclose(pipe.transform(X), BaselineScaler().fit(X).transform(X))


# ---- names that are no text


PUMP = pd.MultiIndex.from_product([["pump"], ["a", "b", "c", "d", "e"]])


@pytest.mark.parametrize(
    "names",
    [[10, 30, 20, 50, 40], PUMP, [3, 1, 2, 0, 4], range(5)],
    ids=["integers", "MultiIndex", "shuffled", "positions"],
)
@pytest.mark.parametrize("kind", ["scaler", "classifier"])
def test_integer_and_multiindex_names_are_compared(names, kind):
    frame = X.set_axis(names, axis=1)
    model = BaselineScaler() if kind == "scaler" else TransferClassifier(SMALL, max_epochs=1)
    ask = model.transform if kind == "scaler" else model.predict
    model.fit(frame, y)
    expected = ask(frame)
    model = pickle.loads(pickle.dumps(model))
    ask = model.transform if kind == "scaler" else model.predict
    with pytest.raises(ValueError, match=r"the same, in another order.*estimator\.column_names_in_"):
        ask(frame[list(frame.columns[::-1])])
    other = X.set_axis([*frame.columns[:-1], ("pump", "z")] if names is PUMP else [7, 8, 9, 5, 6], axis=1)
    if isinstance(names, range):
        ask(other)  # the frame of fit had no names
    else:
        with pytest.raises(ValueError, match=r"Missing: .* Not seen in fit"):
            ask(other)
    np.testing.assert_array_equal(ask(frame), expected)
    ask(frame.to_numpy())  # an array has no names to compare


def test_names_of_an_earlier_fit_are_forgotten():
    scaler = BaselineScaler().fit(X.set_axis([10, 30, 20, 50, 40], axis=1))
    assert scaler.column_names_in_ == (10, 30, 20, 50, 40)
    scaler.fit(X.to_numpy())
    assert not hasattr(scaler, "column_names_in_")
    scaler.transform(X.set_axis([5, 6, 7, 8, 9], axis=1))


def test_a_cache_of_steps_does_not_answer_for_other_columns(backbone, tmp_path):
    steps = BaselineScaler(normal_label="normal"), FeatureExtractor(backbone), LogisticRegression()
    pipeline = make_pipeline(*steps, memory=str(tmp_path)).fit(X, y)
    with pytest.raises(ValueError, match="in another order"):
        pipeline.fit(X.set_axis(COLUMNS[::-1], axis=1), y)  # the same numbers
    named, other = (BaselineScaler().fit_transform(X.set_axis(names, axis=1)) for names in (COLUMNS, COLUMNS[::-1]))
    assert joblib.hash(named) != joblib.hash(other) != joblib.hash(np.asarray(named))
    assert joblib.hash(named) == joblib.hash(pickle.loads(pickle.dumps(named)))
    assert named.strides == np.asarray(named).strides == pickle.loads(pickle.dumps(named.strides))


def test_a_pipeline_hands_on_the_names_whether_in_one_piece_or_in_chunks():
    scaler = sktransfer.make_pipeline(BaselineScaler().fit(X))
    whole = scaler.transform(X)
    scaler.chunk_rows = 50
    chunks = scaler.transform(X)
    np.testing.assert_array_equal(chunks, whole)
    assert chunks.columns == whole.columns == tuple(COLUMNS)
    assert type(scaler.transform(X.to_numpy())) is np.ndarray


def test_names_are_forgotten_between_fits_of_rows_and_of_windows():
    windows = rng.normal(size=(30, 5, 8))
    of_windows = Windows.of(windows, channels=list("abcde"))
    scaler = BaselineScaler().fit(X.set_axis([5, 6, 7, 8, 9], axis=1)).fit(windows)
    assert not hasattr(scaler, "column_names_in_")
    scaler.transform(X.set_axis([9, 8, 7, 6, 5], axis=1))
    scaler.fit(of_windows).fit(X.to_numpy())
    assert not hasattr(scaler, "channel_names_in_")
    scaler.transform(Windows.of(windows, channels=list("edcba")))
