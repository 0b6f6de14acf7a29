"""LaggedWindows: every cell of the table lands in its place."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sktransfer import BaselineScaler, DataQualityWarning, LaggedWindows, SlidingWindows, Windows

SIGNAL = np.random.default_rng(0).normal(size=(60, 2))


def wide(length=4, style="{name}_t-{lag}", newest="{name}_t"):
    """The table that ``pandas.shift`` makes of two signals."""
    frame = pd.DataFrame(SIGNAL, columns=["p", "T in"])
    columns = {
        (newest if lag == 0 else style).format(name=name, lag=lag): frame[name].shift(lag)
        for name in frame
        for lag in range(length)
    }
    return pd.DataFrame(columns).dropna()


@pytest.mark.parametrize(
    ("style", "newest"),
    [
        ("{name}_t-{lag}", "{name}_t"), ("{name}(t-{lag})", "{name}(t)"), ("{name}_t-{lag}", "{name}_t-0"),
        ("{name}_lag{lag}", "{name}"), ("{name}_lag_{lag}", "{name}_lag_0"), ("{name} lag{lag}", "{name}"),
    ],
)  # fmt: skip
def test_windows_by_name_are_those_cut_from_the_signal(style, newest):
    table = wide(style=style, newest=newest)
    table = table[np.random.default_rng(1).permutation(table.columns)]
    lagged = LaggedWindows(sampling_rate=0.5).fit(table)
    X = lagged.transform(table)
    expected, _, _ = SlidingWindows(4, 1, dtype="float64").cut([SIGNAL])
    channels = [["p", "T in"].index(channel) for channel in lagged.channels_]
    np.testing.assert_array_equal(X, np.asarray(expected)[:, channels])
    assert isinstance(X, Windows)
    assert (X.sampling_rate, lagged.length_) == (0.5, 4)
    assert X.channels == tuple(lagged.channels_)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.integers(1, 5), st.integers(1, 5), st.booleans(), st.booleans())
def test_windows_by_place(n_channels, length, by_time, newest_first):
    order = "time-major" if by_time else "channel-major"
    X = np.arange(3 * n_channels * length, dtype=np.float32).reshape(3, -1)
    found = LaggedWindows(length, order=order, newest_first=newest_first).fit_transform(X)
    assert (found.shape, found.dtype) == ((3, n_channels, length), np.float32)
    assert found.channels is None
    for i in range(3):
        for channel in range(n_channels):
            for sample in range(length):
                place = length - 1 - sample if newest_first else sample
                column = place * n_channels + channel if by_time else channel * length + place
                assert found[i, channel, sample] == X[i, column]


def test_a_pattern_of_the_user():
    table = pd.DataFrame([[1.0, 2.0, 3.0, 4.0]], columns=["s1@10", "s1@0", "s2@0", "s2@10"])
    X = LaggedWindows(pattern=r"(?P<channel>\w+)@(?P<lag>\d+)").fit_transform(table)
    assert X.tolist() == [[[1.0, 2.0], [4.0, 3.0]]]


def test_names_without_lags_are_one_channel_with_a_warning():
    table = pd.DataFrame([[1.0, 2.0, 3.0, 4.0]], columns=list("abcd"))
    with pytest.warns(DataQualityWarning, match=r"no column name tells a lag.*first is 'a'.*one channel"):
        X = LaggedWindows().fit_transform(table)
    assert X.tolist() == [[[1.0, 2.0, 3.0, 4.0]]]
    with pytest.warns(DataQualityWarning, match="2 channels, one after the other"):
        assert LaggedWindows(2).fit_transform(table).tolist() == [[[1.0, 2.0], [3.0, 4.0]]]


def caught(call):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        call()
    return [str(warning.message) for warning in found if issubclass(warning.category, DataQualityWarning)]


def test_arrays_without_names_are_said_unless_the_order_is():
    """Behind a scaler that hands on arrays, names are lost, and positions may mix lags and channels."""
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(9, 4)), columns=["p_t", "T_t", "p_t-1", "T_t-1"])
    lost = make_pipeline(BaselineScaler(compress=False), LaggedWindows(2))
    said = caught(lambda: lost.fit(table))
    assert len(said) == 1
    assert "X is an array without names" in said[0]
    assert "set_output(transform='pandas')" in said[0]
    assert lost[1].columns_.tolist() == [[0, 1], [2, 3]]  # which is wrong here, and was said
    named = make_pipeline(BaselineScaler(compress=False), LaggedWindows(2)).set_output(transform="pandas")
    assert caught(lambda: named.fit(table)) == []
    scaled = BaselineScaler(compress=False).fit_transform(table)
    np.testing.assert_array_equal(named.transform(table), scaled[:, [[2, 0], [3, 1]]])
    for order in ("channel-major", "time-major"):
        assert caught(lambda order=order: LaggedWindows(2, order=order).fit(table.to_numpy())) == []
    assert caught(lambda: LaggedWindows().fit(table.to_numpy()[:, :1])) == []


@pytest.mark.parametrize(
    ("columns", "arguments", "words"),
    [
        (["p_t", "p_t-1", "q_t"], {}, r"'p' and 'q' do not have the same lags; only one has \[1\]"),
        (["p_t", "p_t-1", "load"], {}, "column 'load' tells no lag"),
        (["p_t", "p_t-0"], {}, "'p_t' and 'p_t-0' are the same lag of the same channel"),
        (["p_t", "p_t-1", "p_t-3"], {}, r"has the lags \[0, 1, 3\]; expected lags at equal distances"),
        (["p_t", "p_t-1"], {"length": 3}, r"has the lags \[0, 1\]; expected 3 lags"),
        (["a", "b", "c"], {"length": 2}, "got 3 columns, which is no multiple"),
        (["a", "b"], {"pattern": "("}, "got the pattern"),
        (["a", "b"], {"pattern": "a(?P<lag>.)"}, "needs the groups"),
        (["a", "b"], {"pattern": "(?P<channel>x)(?P<lag>.)"}, r"matches no column name; X has \['a', 'b'\]"),
        (["a", "b"], {"order": "rows"}, "order"),
    ],
)
def test_what_cannot_be_placed_is_an_error(columns, arguments, words):
    table = pd.DataFrame(np.ones((3, len(columns))), columns=columns)
    with pytest.raises(ValueError, match=words):
        LaggedWindows(**arguments).fit(table)


def test_other_columns_than_in_fit_are_an_error():
    table = wide()
    lagged = LaggedWindows().fit(table)
    with pytest.raises(ValueError, match="in another order"):
        lagged.transform(table[table.columns[::-1]])
    with pytest.raises(ValueError, match=r"Missing: \['p_t'\]"):
        lagged.transform(table.drop(columns="p_t"))
    assert not hasattr(lagged, "get_feature_names_out")


def test_a_plain_pipeline_on_a_wide_table():
    table = wide()
    y = (table["p_t"] > table["p_t-1"]).to_numpy()
    flat = FunctionTransformer(lambda X: np.asarray(X).reshape(len(X), -1))
    model = make_pipeline(LaggedWindows(), BaselineScaler(compress=False), flat, LogisticRegression(C=100)).fit(
        table, y
    )
    assert model.score(table, y) == 1.0
    assert pickle.loads(pickle.dumps(model[0])).transform(table).tolist() == model[0].transform(table).tolist()
