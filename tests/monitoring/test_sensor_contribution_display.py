"""SensorContributionDisplay: what is drawn is what was found."""

import itertools
import sys

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from sktransfer import (
    BaselineScaler,
    SensorContributionDisplay,
    TransferDetector,
    Windows,
    explain_sensors,
    make_pipeline,
)

mpl.use("Agg")


@pytest.fixture(autouse=True)
def closed():
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


def plant(n_sensors=4, n=300, seed=0):
    rng = np.random.default_rng(seed)
    names = [f"a very long name of the sensor number {k} of the plant" for k in range(n_sensors)]
    return pd.DataFrame(rng.normal(size=(n, n_sensors)) * 10 + 100, columns=names)


@pytest.fixture(scope="module")
def detector():
    return make_pipeline(BaselineScaler(), TransferDetector()).fit(plant())


def moved(n=20):
    new = plant(n=n, seed=1)
    new.iloc[:, 2] += 80
    return new


def test_bars_are_mean_shares_and_courses_are_values_within_the_usual_range(detector):
    new = moved()
    shown = SensorContributionDisplay.from_estimator(detector, new)
    shares = explain_sensors(detector, new).groupby("sensor")["share"].mean().sort_values(ascending=False)
    np.testing.assert_allclose([bar.get_width() for bar in shown.axes_[0].patches], shares)
    assert shown.sensors_ == shares.index.tolist()
    assert shown.sensors_[0] == new.columns[2]
    assert len(shown.axes_) == 4
    np.testing.assert_allclose(shown.axes_[1].lines[0].get_ydata(), new.iloc[:, 2])
    (band,) = shown.axes_[1].collections
    scaler = detector[0]
    low, high = band.get_paths()[0].get_extents().intervaly
    np.testing.assert_allclose([low, high], scaler.center_[0, 2] + 3 * scaler.scale_[0, 2] * np.array([-1, 1]))
    assert shown.axes_[0].get_xlabel() == "share, mean of 20 samples"


def test_a_window_is_drawn_over_its_time_with_the_stretch_that_matters():
    rng = np.random.default_rng(0)
    X = Windows.of(rng.normal(size=(80, 3, 60)), sampling_rate=2)
    pipe = make_pipeline(BaselineScaler(), TransferDetector(false_alarm_rate=0.1)).fit(X)
    new = rng.normal(size=(1, 3, 60))
    new[0, 1, 30:] += 6
    shown = SensorContributionDisplay.from_estimator(pipe, Windows.of(new, sampling_rate=2))
    line = shown.axes_[1].lines[0]
    np.testing.assert_allclose(line.get_xdata(), np.arange(60) / 2)
    np.testing.assert_allclose(line.get_ydata(), new[0, 1])
    span = shown.axes_[1].patches[0].get_extents().transformed(shown.axes_[1].transData.inverted()).intervalx
    first = shown.explanation.iloc[0]
    np.testing.assert_allclose(span, [first["start"] / 2, (first["end"] - 1) / 2])
    assert shown.axes_[-1].get_xlabel() == "time in the window, s"


def test_many_sensors_are_cut_off_and_said_and_long_names_leave_room():
    healthy = plant(50, 400)
    pipe = make_pipeline(BaselineScaler(), TransferDetector()).fit(healthy)
    shown = SensorContributionDisplay.from_estimator(pipe, healthy.iloc[:5], n_sensors=6)
    assert len(shown.axes_[0].patches) == len(shown.sensors_) == 6
    assert "44 other sensors" in shown.axes_[0].get_xlabel()
    assert max(len(label.get_text()) for label in shown.axes_[0].get_yticklabels()) <= 28
    shown.figure_.canvas.draw()
    boxes = [label.get_window_extent() for label in shown.axes_[0].get_yticklabels()]
    assert all(upper.y0 >= lower.y1 for upper, lower in itertools.pairwise(boxes))
    assert min(box.x0 for box in boxes) >= 0


def test_one_sample_one_sensor_and_given_axes(detector):
    import matplotlib.pyplot as plt

    _, axes = plt.subplots(2)
    explanation = explain_sensors(detector, moved(1))
    shown = SensorContributionDisplay.from_explanation(explanation, axes=axes)
    assert list(shown.axes_) == list(axes)
    assert shown.axes_[0].get_xlabel() == "share"
    assert len(shown.axes_[1].lines[0].get_xdata()) == 1
    alone = make_pipeline(BaselineScaler(), TransferDetector()).fit(plant(1))
    assert len(SensorContributionDisplay.from_estimator(alone, plant(1).iloc[:3]).axes_) == 2
    again = shown.plot()
    assert again is shown
    assert len(shown.axes_) == 4


def test_bad_input_is_an_error(detector):
    with pytest.raises(TypeError, match=r"takes what sktransfer\.explain_sensors returns, got a DataFrame without"):
        SensorContributionDisplay.from_explanation(plant())
    with pytest.raises(ValueError, match="'n_sensors' parameter of SensorContributionDisplay must be a whole number"):
        SensorContributionDisplay.from_estimator(detector, moved(), n_sensors=0)


def test_without_matplotlib_the_extra_is_named(detector, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"pip install 'sktransfer\[demo\]'"):
        SensorContributionDisplay.from_estimator(detector, moved())
