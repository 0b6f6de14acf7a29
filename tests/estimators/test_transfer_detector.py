"""TransferDetector: rates, units, networks, files, bad input."""

import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sktransfer import (
    BaselineScaler,
    DataQualityWarning,
    FeatureExtractor,
    HealthyNeighbors,
    HotellingT2,
    ModelFileError,
    OutOfRangeWarning,
    PrincipalComponents,
    TagT2,
    TransferDetector,
    Windows,
    load_backbone,
)
from sktransfer import make_pipeline as sktransfer_pipeline
from sktransfer.windows.window_statistics import window_statistics
from tests.helpers import small_backbone

MIX = np.random.default_rng(42).normal(size=(3, 4))


def healthy(n=600, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 3)) @ MIX + 0.2 * rng.normal(size=(n, 4)) + [10, 0, 1000, -3]


def windows(n=80, seed=0, frequency=0.05):
    rng = np.random.default_rng(seed)
    time = np.arange(100) + rng.integers(0, 50, size=(n, 1, 1))
    return np.sin(2 * np.pi * frequency * time) + 0.3 * rng.normal(size=(n, 3, 100))


@pytest.mark.parametrize("rate", [0.01, 0.05])
def test_later_healthy_rows_alarm_as_often_as_asked(rate):
    found = []
    for seed in range(20):
        detector = TransferDetector(false_alarm_rate=rate).fit(healthy(1000, seed))
        found.append(np.mean(detector.predict(healthy(1000, 100 + seed)) < 0))
    # the full fit is a little closer to new rows than those that the threshold was set by
    assert 0.6 * rate < np.mean(found) < 1.2 * rate


def test_the_methods_agree():
    X = healthy()
    detector = TransferDetector(false_alarm_rate=0.02).fit(X)
    new = np.concatenate([healthy(200, 1), healthy(20, 2) + [0, 8, 0, 0]])
    score, p = detector.score_samples(new), detector.p_values(new)
    np.testing.assert_allclose(detector.decision_function(new), score - detector.offset_)
    np.testing.assert_array_equal(detector.predict(new), np.where(score >= detector.offset_, 1, -1))
    np.testing.assert_array_equal(detector.predict(new) < 0, p <= detector.attained_rate_)
    np.testing.assert_allclose(detector.feature_contributions(new).sum(axis=1), -score)
    assert (detector.predict(new[200:]) < 0).all()
    assert detector.attained_rate_ <= 0.02


def test_distances_are_those_of_features_and_statistic_by_hand():
    backbone = small_backbone(0, max_epochs=8)
    X = np.random.default_rng(0).normal(size=(200, backbone.n_features_in)).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        detector = TransferDetector(backbone, statistic=PrincipalComponents()).fit(X)
        F = FeatureExtractor(backbone).fit_transform(X).astype(np.float64)
    by_hand = PrincipalComponents().fit(F).distance(F)
    np.testing.assert_allclose(-detector.score_samples(X), by_hand)


def test_windows_without_a_network_are_watched_by_their_statistics():
    detector = TransferDetector(statistic=TagT2()).fit(windows())
    by_hand = TagT2().fit(window_statistics(windows()), 3).distance(window_statistics(windows(seed=1)))
    np.testing.assert_allclose(-detector.score_samples(windows(seed=1)), by_hand)
    assert detector.n_tags_ == 3
    assert np.mean(detector.predict(windows(30, 2, frequency=0.12)) < 0) > 0.9


def test_the_shipped_process_network_is_watched_by_tag():
    X = np.clip(windows(60), -5, 5).astype(np.float32)
    detector = TransferDetector("process", false_alarm_rate=0.1).fit(X)
    tags = FeatureExtractor("process", block="tag").fit(X).transform(X).astype(np.float64)
    assert detector.n_tags_ == 3
    np.testing.assert_allclose(-detector.score_samples(X), HotellingT2().fit(tags).distance(tags))
    stuck = np.clip(windows(20, 5), -5, 5).astype(np.float32)
    stuck[:, 1] = stuck[:, 1, :1]
    assert np.mean(detector.predict(stuck) < 0) > 0.9
    of_tags = detector.feature_contributions(stuck).reshape(20, 3, -1).sum(axis=2)
    assert np.mean(of_tags.argmax(axis=1) == 1) > 0.9


def test_groups_are_held_out_whole():
    """Ten runs, each about a level of its own: neighbours in a run promise too low a threshold."""
    rng = np.random.default_rng(0)

    def runs(n_runs):
        level = rng.normal(size=(n_runs, 1, 3)) * 3
        return (level + rng.normal(size=(n_runs, 60, 3)) / 3).reshape(-1, 3), np.repeat(np.arange(n_runs), 60)

    (X, run), (later, _) = runs(30), runs(100)
    whole = TransferDetector(statistic=HealthyNeighbors(), false_alarm_rate=0.05, n_blocks=30).fit(X, groups=run)
    order = rng.permutation(len(X))
    shuffled = TransferDetector(statistic=HealthyNeighbors(), false_alarm_rate=0.05).fit(X[order])
    alarms = [np.mean(one.predict(later) < 0) for one in (whole, shuffled)]
    assert alarms[0] < 0.12
    assert alarms[1] > 2 * alarms[0]


@pytest.mark.parametrize("share", [0.01, 0.05, 0.1])
def test_faulty_rows_among_the_healthy_are_left_out_on_request(share):
    X = healthy(1000)
    n = int(1000 * share)
    rows = np.random.default_rng(0).choice(1000, n, replace=False)
    X[rows] += [0, 6, 0, 0]
    faults = healthy(200, 5) + [0, 6, 0, 0]
    plain = TransferDetector(false_alarm_rate=0.01).fit(X)
    robust = TransferDetector(false_alarm_rate=0.01, fault_share=share).fit(X)
    assert np.mean(robust.predict(faults) < 0) > 0.95
    assert np.mean(robust.predict(faults) < 0) >= np.mean(plain.predict(faults) < 0)
    assert np.mean(robust.predict(healthy(2000, 6)) < 0) < 0.04
    assert len(robust.healthy_distances_) == 1000 - n


def test_a_rate_that_the_rows_cannot_support_is_said_with_what_it_takes():
    with pytest.warns(DataQualityWarning, match=r"a rate of 0.001 needs at least 999 healthy rows, and there are 50\."):
        detector = TransferDetector(false_alarm_rate=0.001).fit(healthy(50))
    assert detector.attained_rate_ == pytest.approx(1 / 51)
    assert -detector.offset_ == detector.healthy_distances_.max()


def test_it_stands_behind_a_scaler_and_is_searched():
    X = pd.DataFrame(healthy(), columns=list("abcd"))
    pipe = make_pipeline(BaselineScaler(), TransferDetector(false_alarm_rate=0.05))
    assert (pipe.fit(X).predict(X + [0, 9, 0, 0]) < 0).all()
    y = np.ones(len(X))
    search = GridSearchCV(
        pipe, {"transferdetector__statistic": [HotellingT2(), HealthyNeighbors()]}, scoring="accuracy", cv=3
    )
    assert search.fit(X, y).best_score_ > 0.85


def test_a_file_answers_as_before_and_a_flipped_bit_is_refused(tmp_path):
    X = healthy()
    detector = TransferDetector().fit(X)
    joblib.dump(detector, tmp_path / "d.joblib")
    again = joblib.load(tmp_path / "d.joblib")
    np.testing.assert_array_equal(again.score_samples(X), detector.score_samples(X))
    state = detector.__getstate__()
    state["healthy_distances_"] = state["healthy_distances_"] + 1e-9
    with pytest.raises(ModelFileError):
        TransferDetector().__setstate__(state)
    state = detector.statistic_.__getstate__()  # it comes with a sum of its own
    state["mean_"] = state["mean_"] + 1e-9
    with pytest.raises(ModelFileError):
        HotellingT2().__setstate__(state)


def test_two_ways_of_running_are_both_usual_to_neighbours():
    X = np.concatenate([healthy(300), healthy(300, 1) + 40])[np.random.default_rng(0).permutation(600)]
    between = healthy(50, 2) + 20
    detector = TransferDetector(statistic=HealthyNeighbors(), false_alarm_rate=0.02).fit(X)
    assert np.mean(detector.predict(between) < 0) > 0.9
    assert np.mean(detector.predict(healthy(300, 3)) < 0) < 0.06


@pytest.mark.parametrize(
    ("X", "words"),
    [
        (healthy(1), "needs at least 3 healthy rows to hold some out; got 1 sample"),
        (healthy(2), "needs at least 3 healthy rows to hold some out; got 2 samples"),
        (np.where(np.arange(4) == 1, np.nan, healthy(50)), "NaN"),
        (healthy(50).astype(str), "could not convert|text"),
    ],
)
def test_what_cannot_be_fitted_is_an_error(X, words):
    with pytest.raises(ValueError, match=words):
        TransferDetector().fit(X)


def test_other_windows_than_those_of_fit_are_errors():
    X = Windows.of(windows(), sampling_rate=100.0)
    detector = TransferDetector(false_alarm_rate=0.1).fit(X)
    with pytest.raises(ValueError, match="Hz"):
        detector.predict(Windows.of(windows(5), sampling_rate=50.0))
    with pytest.raises(ValueError, match="channels"):
        detector.predict(Windows.of(windows(5)[:, :2], sampling_rate=100.0))


def test_a_backbone_of_windows_takes_no_rows():
    with pytest.raises(ValueError, match="windows"):
        TransferDetector(load_backbone("process")).fit(healthy())


def test_fewer_healthy_samples_than_features_and_one_window_to_judge():
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(2, 60))

    def rows(n):
        return rng.normal(size=(n, 2)) @ mix + 0.1 * rng.normal(size=(n, 60))

    with pytest.warns(DataQualityWarning, match=r"a rate of 0.01 needs at least 99 healthy rows, and there are 20\."):
        detector = TransferDetector().fit(rows(20))
    fault = rows(200)
    fault[:, 7] += 4  # it breaks the relation with the other columns
    later = rows(200)
    assert np.mean(detector.predict(fault) < 0) > 0.9
    assert np.mean(detector.predict(later) < 0) < 0.2
    X = np.clip(windows(60), -5, 5).astype(np.float32)
    one = TransferDetector("process", false_alarm_rate=0.1).fit(X)
    np.testing.assert_allclose(one.score_samples(X[:1]), one.score_samples(X)[:1], rtol=1e-3)


def test_constant_and_equal_tags_neither_hide_a_fault_nor_raise_alarms():
    def with_both(X):
        return np.column_stack([X, X[:, 1], np.full(len(X), 7.0)])

    detector = TransferDetector(false_alarm_rate=0.05).fit(with_both(healthy(1000)))
    later = with_both(healthy(1000, 1))
    assert np.mean(detector.predict(later) < 0) < 0.1
    moved, parted = later.copy(), later.copy()
    moved[:, 5] = 21.0  # the constant, by twice its size
    parted[:, 4] += 1.0  # one of the two that are equal
    assert (detector.predict(moved) < 0).all()
    assert (detector.predict(parted) < 0).all()
    assert (detector.feature_contributions(moved).argmax(axis=1) == 5).all()


@pytest.mark.parametrize("share", [0.5, 0.2])
def test_two_machines_mixed_are_said(share):
    n = int(1000 * share)
    both = np.concatenate([healthy(1000 - n), healthy(n, 1) + [30, -30, 30, 30]])
    machine = np.repeat(["A", "B"], [1000 - n, n])
    words = r"TransferDetector: \d\d% of the variance of the healthy rows lies between the blocks"
    with pytest.warns(DataQualityWarning, match=words):
        TransferDetector().fit(both)
    with pytest.warns(DataQualityWarning, match=words):
        TransferDetector().fit(both, groups=machine)
    scaled = BaselineScaler().fit(both, sample_domain=machine).transform(both, sample_domain=machine)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        TransferDetector().fit(healthy(1000))
        TransferDetector().fit(scaled)


def test_messages_name_the_detector_and_not_what_it_is_made_of():
    X = np.clip(windows(60), -5, 5).astype(np.float32)
    detector = TransferDetector("process", false_alarm_rate=0.1).fit(Windows.of(X, sampling_rate=100.0))
    broken = np.where(np.arange(3)[:, None] == 1, np.nan, X)
    for asked, words in [
        (broken, r"^TransferDetector: Input X contains NaN in channel 1 \(60 windows\)"),
        (Windows.of(X, sampling_rate=50.0), "^TransferDetector got windows sampled at 50 Hz, but was fitted to"),
        (X[:, :2], "^TransferDetector got windows of 2 channels"),
        (X[0], r"^TransferDetector got X of shape \(3, 100\)"),
    ]:
        with pytest.raises(ValueError, match=words):
            detector.predict(asked)
    with pytest.raises(ValueError, match=r"^TransferDetector: Input X contains NaN in channel 1 \(60 windows\)"):
        TransferDetector("process").fit(broken)
    with pytest.raises(ValueError, match=r"^TransferDetector: backbone 'process' has no block 'tags'"):
        TransferDetector("process", block="tags").fit(X)
    rows = TransferDetector(small_backbone(0, max_epochs=2), false_alarm_rate=0.1).fit(
        healthy(100) - healthy(100).mean()
    )
    with pytest.raises(ValueError, match="X has 3 features, but TransferDetector is expecting 4 features"):
        rows.predict(healthy(5)[:, :3])


def test_warnings_name_the_detector_also_in_a_pipeline():
    X = np.random.default_rng(0).normal(size=(100, 4))
    detector = TransferDetector(small_backbone(0, max_epochs=2), false_alarm_rate=0.1).fit(X)
    with pytest.warns(OutOfRangeWarning, match="^TransferDetector got rows that look"):
        detector.predict(X * 1e6)
    whole = sktransfer_pipeline(FunctionTransformer(), detector)
    with pytest.warns(OutOfRangeWarning, match="^TransferDetector got rows that look"):
        whole.predict(X * 1e6)


def test_rounding_of_a_network_is_no_spread():
    """A feature that a network gives as a constant, but for float32, must not decide."""
    X = np.clip(windows(60), -5, 5).astype(np.float32)
    X[:, 2] = 0.7  # a tag that stands still
    detector = TransferDetector("process", statistic=TagT2(power=4), false_alarm_rate=0.1).fit(X)
    F = FeatureExtractor("process", block="tag").fit(X).transform(X).astype(np.float64)
    spread = F.std(axis=0)
    still = spread <= 1e-6 * np.abs(F.mean(axis=0))
    assert still.any()
    assert (detector.statistic_.scale_[still] > 1e-3 * np.abs(F.mean(axis=0))[still]).all()
    other = np.clip(windows(60, 9), -5, 5).astype(np.float32)
    other[:, 2] = 0.7
    assert np.mean(detector.predict(other) < 0) < 0.3
