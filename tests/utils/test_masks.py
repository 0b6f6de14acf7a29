"""The number behind a mask is used nowhere."""

import numpy as np
import pytest

from sktransfer import SlidingWindows, TransferClassifier, TransferRegressor, Windows
from sktransfer.utils.masks import without_mask

rng = np.random.default_rng(0)
X = rng.normal(size=(40, 3))
MASK = np.arange(40) == 3


@pytest.mark.parametrize("dtype", [np.int16, np.int64, np.float32, np.float64, bool])
def test_masked_cells_become_nan_in_a_type_that_holds_the_others(dtype):
    values = np.array([[1, 0, 1], [0, 1, 1]]).astype(dtype)
    found = without_mask(np.ma.masked_array(values, mask=[[0, 0, 1], [0, 0, 0]]))
    assert type(found) is np.ndarray
    assert np.isnan(found[0, 2])
    np.testing.assert_array_equal(np.delete(found.ravel(), 2), np.delete(values.ravel(), 2))
    whole = np.ma.masked_array(values)
    assert without_mask(whole) is whole.data or np.shares_memory(without_mask(whole), values)
    assert without_mask(whole).dtype == dtype
    assert without_mask("text") == "text"


def test_a_masked_sample_of_a_recording_is_a_gap():
    signal = rng.normal(size=200)
    holes = np.where(np.arange(200) == 77, np.nan, signal)
    masked = np.ma.masked_array(np.where(np.arange(200) == 77, -9999.0, signal), mask=np.arange(200) == 77)
    cutter = SlidingWindows(20)
    np.testing.assert_array_equal(cutter.cut([masked])[0], cutter.cut([holes])[0])


def test_windows_of_masked_numbers_hold_nan():
    masked = np.ma.masked_equal(np.where(np.arange(24) == 5, -1.0, 2.0).reshape(2, 3, 4), -1.0)
    found = Windows.of(masked, sampling_rate=5)
    assert (type(found), found.sampling_rate) == (Windows, 5)
    assert np.isnan(found).sum() == 1


@pytest.mark.parametrize("kind", [TransferClassifier, TransferRegressor])
def test_labels_and_weights_behind_a_mask_are_refused(kind):
    y = np.resize([0.0, 1.0], 40) if kind is TransferRegressor else np.resize([0, 1], 40)
    with pytest.raises(ValueError, match=r"y is masked in 1 row, the first are \[3\]"):
        kind(max_epochs=1).fit(X, np.ma.masked_array(y, mask=MASK))
    with pytest.raises(ValueError, match=r"sample_weight is masked in 1 row, the first are \[3\]"):
        kind(max_epochs=1).fit(X, y, sample_weight=np.ma.masked_array(np.ones(40), mask=MASK))
    kind(max_epochs=1).fit(X, np.ma.masked_array(y), sample_weight=np.ma.masked_array(np.ones(40)))
