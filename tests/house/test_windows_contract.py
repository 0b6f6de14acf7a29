"""What holds of every estimator of this package where X is windows: scikit-learn's battery knows tables only."""

import io
import pickle

import joblib
import numpy as np
import pytest
from sklearn.base import clone

from sktransfer import (
    FeatureExtractor,
    FineTuning,
    LinearProbing,
    ProbeThenTune,
    TransferClassifier,
    TransferRegressor,
    Windows,
)
from tests import tones
from tests.tones import ANY_CHANNELS, NEW, SMALL, X, answers, assert_near, frequency, signals, y

backbone = tones.backbone  # the fixture


@pytest.fixture(scope="module", params=["scratch", "probing", "fine-tuning", "any channels", "regressor", "extractor"])
def estimator(request, backbone):
    options = {"max_epochs": 3, "lr": 0.003, "batch_size": 16, "random_state": 0}
    return {
        "scratch": TransferClassifier(SMALL, **options),
        "probing": TransferClassifier(backbone, strategy=LinearProbing(), **options),
        "fine-tuning": TransferClassifier(backbone, strategy=FineTuning(n_frozen_blocks=1), **options),
        "any channels": TransferClassifier(ANY_CHANNELS, **options),
        "regressor": TransferRegressor(backbone, strategy=ProbeThenTune(), **options),
        "extractor": FeatureExtractor(backbone),
    }[request.param]


@pytest.fixture(scope="module")
def fitted(estimator):
    return fit(estimator)


def labels_of(estimator):
    return frequency if isinstance(estimator, TransferRegressor) else y


def fit(estimator, X=X, **params):
    return clone(estimator).fit(X, labels_of(estimator), **params)


def test_it_learns_to_tell_tones(backbone):
    assert TransferClassifier(backbone).fit(X[:12], y[:12]).score(X, y) > 0.9
    assert TransferClassifier(SMALL, max_epochs=20, lr=0.01, random_state=0).fit(X, y).score(X, y) > 0.9


def test_fitted_twice_and_cloned_it_gives_the_same(estimator):
    before = X.copy()
    fitted = fit(estimator)
    first = answers(fitted, NEW)
    assert np.array_equal(first, answers(fitted.fit(X, labels_of(estimator)), NEW))
    assert np.array_equal(first, answers(fit(clone(fitted)), NEW))
    assert np.array_equal(X, before)
    assert fitted.n_features_in_ == 2
    assert fitted.sampling_rate_ is None
    assert not hasattr(fitted, "feature_names_in_")


def test_a_window_gets_the_same_answer_alone_in_another_order_and_among_others(fitted):
    expected = answers(fitted, NEW)
    order = np.random.default_rng(3).permutation(len(NEW))
    assert_near(answers(fitted, NEW[order]), expected[order])
    assert_near(answers(fitted, NEW[7:8]), expected[7:8])
    assert_near(np.concatenate([answers(fitted, NEW[:11]), answers(fitted, NEW[11:])]), expected)


def test_many_windows_go_through_in_chunks_by_their_bytes(fitted, monkeypatch):
    expected = answers(fitted, NEW)
    monkeypatch.setattr("sktransfer.utils.chunks.CHUNK_BYTES", 4 * 2 * 64 * 8)  # eight windows
    assert_near(answers(fitted, NEW), expected)


def test_order_and_weights_of_training_windows_mean_what_they_mean_for_rows(estimator):
    if isinstance(estimator, FeatureExtractor):
        return
    labels, twice = labels_of(estimator), np.r_[np.arange(60), np.arange(10)]
    fitted = clone(estimator).fit(X[twice], labels[twice])
    weighted = fit(estimator, sample_weight=np.where(np.arange(60) < 10, 2.0, 1.0))
    assert_near(answers(weighted, NEW), answers(fitted, NEW))
    order = np.random.default_rng(4).permutation(60)
    assert_near(answers(clone(estimator).fit(X[order], labels[order]), NEW), answers(fit(estimator), NEW))


@pytest.mark.parametrize(
    "change",
    [
        lambda X: X.tolist(),
        lambda X: list(X),
        lambda X: X.astype(np.float64),
        np.asfortranarray,
        lambda X: np.repeat(X, 2, axis=2)[:, :, ::2],
        Windows.of,
    ],
    ids=["lists", "list of arrays", "float64", "Fortran", "strided", "Windows"],
)
def test_the_kind_of_array_does_not_matter(estimator, fitted, change):
    expected = answers(fitted, NEW)
    assert_near(answers(fit(estimator, change(X)), change(NEW)), expected)


def test_memory_that_is_read_only_and_on_disk_is_left_alone(estimator, tmp_path):
    joblib.dump(X, tmp_path / "X.joblib")
    mapped = joblib.load(tmp_path / "X.joblib", mmap_mode="r")
    fitted = fit(estimator, mapped)
    assert np.array_equal(answers(fitted, mapped), answers(fit(estimator), X))


def test_whole_numbers_are_windows_too(estimator):
    counts = np.round(X * 1000).astype(np.int16)
    expected = answers(fit(estimator, counts.astype(np.float64)), counts.astype(np.float64))
    assert_near(answers(fit(estimator, counts), counts), expected)


def test_stored_it_gives_the_same_answers(estimator):
    fitted = fit(estimator, Windows.of(X, sampling_rate=100.0))
    new = Windows.of(NEW, sampling_rate=100.0)
    file = io.BytesIO()
    joblib.dump(fitted, file)
    file.seek(0)
    for loaded in (pickle.loads(pickle.dumps(fitted)), joblib.load(file)):
        assert np.array_equal(answers(loaded, new), answers(fitted, new))
        assert loaded.sampling_rate_ == 100.0
        with pytest.raises(ValueError, match=r"50 Hz.*100 Hz"):
            answers(loaded, Windows.of(NEW, sampling_rate=50.0))


def test_one_window_and_another_length_are_answered(fitted):
    assert len(answers(fitted, NEW[:1])) == 1
    assert answers(fitted, signals(5, length=50)[0]).shape == answers(fitted, NEW[:5]).shape


def test_one_window_cannot_be_fitted_to(backbone):
    with pytest.raises(ValueError, match="two classes, so at least 2 rows"):
        TransferClassifier(backbone).fit(X[:1], y[:1])
    with pytest.raises(ValueError, match="at least 2 rows"):
        TransferRegressor(backbone).fit(X[:1], frequency[:1])
    assert FeatureExtractor(backbone).fit_transform(X[:1]).shape == (1, 16)


# ---- what none of them takes


def test_rows_for_a_backbone_of_windows_are_told_to_be_cut(estimator, fitted):
    for do in (lambda rows: fit(estimator, rows), lambda rows: answers(fitted, rows)):
        with pytest.raises(ValueError, match=r"shape \(60, 64\).*takes windows \(n_windows, n_channels, length\)"):
            do(X[:, 0])
        with pytest.raises(ValueError, match=r"takes windows.*SlidingWindows"):
            do(X[:, 0, 0])


def test_windows_shorter_than_the_receptive_field_name_both_lengths(estimator, fitted):
    # one convolution of 5 at stride 2, two of 5 after it: 5 + 2 * 4 + 4 * 4 samples
    for do in (lambda short: fit(estimator, short), lambda short: answers(fitted, short)):
        with pytest.raises(ValueError, match=r"at least 29 samples.*got windows of 28"):
            do(X[:, :, :28])
    fit(estimator, X[:, :, :29])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X: np.where(np.arange(2)[:, None] == 1, np.nan, X), r"NaN in channel 1 \(60 windows\)"),
        (lambda X: np.where(np.arange(60)[:, None, None] == 3, np.inf, X), r"infinity in channel 0 \(1 window\), 1"),
        (lambda X: X * 1e18, r"values beyond 1e\+15 in channel 0 \(60 windows\), 1"),
        (lambda X: X[:, :, :0], r"shape \(60, 2, 0\).*at least one channel and one sample"),
        (lambda X: X[:, :0], r"shape \(60, 0, 64\).*at least one channel"),
        (lambda X: X[:0], "0 sample"),
        (lambda X: [*X[1:], X[0, :, :9]], "one length.*SlidingWindows"),
        (lambda X: X.astype(str), "text"),
        (lambda X: X + 1j, "Complex data not supported"),
    ],
    ids=["NaN", "infinite", "huge", "no samples", "no channels", "no windows", "ragged", "text", "complex"],
)
def test_what_is_no_signal_is_named(estimator, fitted, change, message):
    with pytest.raises(ValueError, match=message):
        fit(estimator, change(X))
    with pytest.raises(ValueError, match=message):
        answers(fitted, change(X))
