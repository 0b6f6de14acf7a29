"""TransferGainDisplay: what is drawn is what was found."""

import sys

import matplotlib
import numpy as np
import pytest

from sktransfer import TransferGainDisplay
from sktransfer.evaluation.metrics import metric_of
from tests.evaluation.test_verdict import results

matplotlib.use("Agg")

MEANS = {
    "transfer": {1: 0.8, 5: 0.9},
    "from scratch": {1: 0.4, 5: 0.6},
    "source as it is": {1: 0.7, 5: 0.7},
    "random forest": {1: 0.5, 5: 0.85},
    "mine": {1: 0.3, 5: 0.3},
}


@pytest.fixture
def found():
    yield results(MEANS)
    matplotlib.pyplot.close("all")


def test_lines_are_the_means_of_the_methods_in_their_order(found):
    shown = TransferGainDisplay.from_results(found)
    assert [line.get_label() for line in shown.lines_] == list(MEANS)
    for line, means in zip(shown.lines_, MEANS.values(), strict=True):
        np.testing.assert_allclose(line.get_ydata(), [*means.values()])
    assert shown.figure_ is shown.ax_.figure
    assert shown.ax_.get_xlabel() == "labels a class"
    assert [text.get_text() for text in shown.ax_.get_xticklabels()] == ["1", "5"]
    colours = [matplotlib.colors.to_hex(line.get_color()) for line in shown.lines_]
    assert len(set(colours)) == len(MEANS)
    legend = [text.get_text() for text in shown.ax_.get_legend().get_texts()]
    assert legend == sorted(MEANS, key=lambda name: -MEANS[name][5])


def test_bands_are_one_standard_deviation_over_draws(found):
    shown = TransferGainDisplay.from_results(found)
    scores = found.frame.query("method == 'transfer' and n_labels == 5")["score"]
    corners = shown.ax_.collections[0].get_paths()[0].vertices
    at_5 = corners[corners[:, 0] == 5, 1]
    assert (at_5.min(), at_5.max()) == pytest.approx((0.9 - scores.std(ddof=0), 0.9 + scores.std(ddof=0)))


def test_one_number_of_labels_is_drawn_as_bars_beside_each_other():
    found = results({name: {5: means[5]} for name, means in MEANS.items()})
    shown = TransferGainDisplay.from_results(found, kind="gain")
    places = [line.get_xdata()[0] for line in shown.lines_[1:]]
    assert len(set(places)) == len(MEANS) - 1
    gains = found.gains.set_index("alternative")
    for name, bars in zip([*MEANS][1:], shown.ax_.collections, strict=True):
        (bottom, top) = bars.get_segments()[0][:, 1]
        assert (bottom, top) == pytest.approx((100 * gains["low"][name], 100 * gains["high"][name]))
    assert all(line.get_marker() for line in shown.lines_[1:])
    matplotlib.pyplot.close("all")


def test_gains_are_drawn_in_points_with_the_estimator_at_zero(found):
    shown = TransferGainDisplay.from_results(found, kind="gain")
    by_name = {line.get_label(): np.asarray(line.get_ydata(), dtype=float) for line in shown.lines_}
    np.testing.assert_allclose(by_name["transfer"], 0)
    np.testing.assert_allclose(by_name["random forest"], [30, 5])
    assert shown.ax_.get_ylabel() == "gain of transfer, points of balanced accuracy"


def test_scratch_and_source_are_drawn_whatever_is_chosen(found):
    shown = TransferGainDisplay.from_results(found, methods=["mine"])
    assert [line.get_label() for line in shown.lines_] == ["transfer", "from scratch", "source as it is", "mine"]


def test_an_axes_is_drawn_on_and_a_display_draws_again(found):
    _, (left, right) = matplotlib.pyplot.subplots(1, 2)
    shown = TransferGainDisplay.from_results(found, ax=left)
    assert shown.ax_ is left
    assert shown.plot(right, kind="gain").ax_ is right


def test_wrong_input_is_said(found):
    with pytest.raises(TypeError, match=r"takes what sktransfer\.compare returns, got a DataFrame"):
        TransferGainDisplay.from_results(found.frame)
    with pytest.raises(ValueError, match="'kind' parameter of TransferGainDisplay must be 'score' or 'gain'"):
        TransferGainDisplay.from_results(found, kind="bars")
    with pytest.raises(ValueError, match="'methods' parameter of TransferGainDisplay must be a list of some of"):
        TransferGainDisplay.from_results(found, methods=["forest"])


def test_without_matplotlib_the_error_says_what_to_install(found, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"which is not installed\. Install it with pip install matplotlib"):
        TransferGainDisplay.from_results(found)
    with pytest.raises(ImportError, match="which is not installed"):
        TransferGainDisplay.from_estimator(None, None, None)


def test_errors_are_drawn_as_errors():
    found = results({"transfer": {5: -2.0, 9: -1.0}, "mean": {5: -3.0, 9: -3.0}}, metric=metric_of(None, 0))
    shown = TransferGainDisplay.from_results(found)
    np.testing.assert_allclose(shown.lines_[0].get_ydata(), [2.0, 1.0])
    assert shown.ax_.get_ylabel() == "mean absolute error (less is better)"
    matplotlib.pyplot.close("all")
