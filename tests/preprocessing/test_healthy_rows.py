"""The healthy label: one that no row has, one of another type, and labels that were numbered anew."""

import warnings

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline

from sktransfer import BaselineScaler, DataQualityWarning

X = np.random.default_rng(0).normal(size=(90, 3))


@pytest.mark.parametrize(
    ("normal", "labels", "says"),
    [
        (1, ["0", "1"], r"y holds '0', '1'\. The label '1' is text, normal_label is a number \(int\)"),
        ("1", [0, 1], r"y holds 0, 1\. The label 1 is a number \(int\), normal_label is text"),
        ("ok", [0, 1, 2], r"y holds 0, 1, 2\. Labels may have been numbered anew"),
        ("ok", ["bad", "worse"], r"y holds 'bad', 'worse'\. Set normal_label"),
        (7, np.array([1, 2]), r"y holds 1, 2\. Labels may have been numbered anew"),
    ],
)
def test_a_label_that_no_row_has_is_an_error_that_tells_it_from_its_like(normal, labels, says):
    for rows in (X, X[:, :, None] * np.ones(5)):
        with pytest.raises(ValueError, match=says):
            BaselineScaler(normal).fit(rows, np.resize(np.array(labels, dtype=object), 90))


def caught(call):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        call()
    return [str(warning.message) for warning in found if issubclass(warning.category, DataQualityWarning)]


def test_labels_that_a_meta_estimator_numbers_anew_are_noticed():
    """Of 1, 2, 3 scikit-learn makes 0, 1, 2, so that 1 is the second class and no more the healthy one."""
    y = np.resize([1, 2, 3], 90)
    shifted = X + 10 * (y == 2)[:, None]
    pipe = make_pipeline(BaselineScaler(normal_label=1), LogisticRegression())
    assert caught(lambda: pipe.fit(shifted, y)) == []
    assert pipe[0].center_[0, 0] == pytest.approx(shifted[y == 1, 0].mean())
    said = caught(lambda: cross_val_predict(pipe, shifted, y, method="predict_proba", cv=3))
    assert len(said) == 3  # one a fit
    assert all("got the labels 0 to 2" in text and "FrozenEstimator" in text for text in said)


@pytest.mark.parametrize(
    ("normal", "labels"),
    [
        (0, [0, 1, 2]),
        ("normal", ["normal", "leak"]),
        (True, [True, False]),
        (1, [1, 2]),
        (-1, [-1, 1]),
        (1.0, [0.0, 1.0]),
    ],
)
def test_ordinary_labels_are_no_warning(normal, labels):
    y = np.resize(np.array(labels), 90)
    assert caught(lambda: BaselineScaler(normal).fit(X, y)) == []


def test_labels_behind_a_mask_are_no_labels():
    y = np.ma.masked_array(np.resize([0, 1], 90), mask=np.arange(90) == 4)
    with pytest.raises(ValueError, match=r"y is masked in 1 row, the first are \[4\]"):
        BaselineScaler(0).fit(X, y)
    domain = np.ma.masked_array(np.resize([2, 1], 90), mask=np.arange(90) == 5)
    with pytest.raises(ValueError, match=r"masked in 1 row, the first are \[5\]"):
        BaselineScaler().fit(X, sample_domain=domain)
