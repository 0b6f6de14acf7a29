"""Acceptance, section B: what comes as y and sample_weight in fit. The name of a test begins with its id."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import DataConversionWarning
from sklearn.model_selection import StratifiedKFold, cross_val_score

from sktransfer import DataQualityWarning, FineTuning, TransferClassifier
from tests.acceptance.cases import X, quick, scaled, y
from tests.helpers import moons, small_backbone

LEAK = y == "leak"


def at_row_5(labels, value):
    """Labels as objects, with another one in row 5."""
    changed = np.array(labels, dtype=object)
    changed[5] = value
    return changed


@pytest.mark.parametrize("labels", [np.full(80, "normal"), np.zeros(80, dtype=int), [True] * 80])
def test_B1_one_class_is_an_error_that_names_it(labels):
    with pytest.raises(ValueError, match=rf"at least two classes.*y holds 1 class: \['?{labels[0]}'?\]"):
        quick().fit(X, labels)


@pytest.mark.parametrize(
    "labels",
    [
        at_row_5(y, None),
        at_row_5(y, np.nan),
        np.where(np.arange(80) == 5, np.nan, LEAK * 1.0),
        pd.Series(at_row_5(LEAK * 1, pd.NA), dtype="Int64"),
        pd.Series(at_row_5(y, pd.NA), dtype="string"),
        pd.Series(pd.Categorical(at_row_5(y, None))),
    ],
    ids=["None", "nan object", "nan float", "NA Int64", "NA string", "NA category"],
)
def test_B2_missing_labels_are_an_error_that_names_rows(labels):
    with pytest.raises(ValueError, match=r"y contains NaN: 1 label is no class, in rows \[5\]. Drop these rows"):
        quick().fit(X, labels)


@pytest.mark.parametrize("value", [3, 2.5, True])
def test_B2_labels_of_mixed_kinds_are_an_error_that_names_rows(value):
    with pytest.raises(ValueError, match=rf"mixed kinds in y .*'{type(value).__name__}': 5.*Use one kind"):
        quick().fit(X, at_row_5(y, value))


def test_B2_infinite_label_is_an_error_without_stray_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match=r"y contains infinity: 1 label is no class, in rows \[5\]"):
            quick().fit(X, np.where(np.arange(80) == 5, np.inf, LEAK * 1.0))


@pytest.mark.parametrize(
    ("labels", "kind"),
    [
        (y, "U"),
        (LEAK, "b"),
        (LEAK.astype("int8"), "i"),
        (LEAK.astype("uint16"), "u"),
        (LEAK * 1.0, "f"),
        (y.astype(object), "O"),
        (pd.Series(y), "O"),
        (pd.Series(pd.Categorical(y)), "O"),
        (pd.Series(LEAK * 1, dtype="Int64"), "i"),
        (pd.Series(LEAK, dtype="boolean"), "b"),
        (pd.Series(y, dtype="string"), "O"),
        (list(y), "U"),
    ],
    ids=[
        "str",
        "bool",
        "int8",
        "uint16",
        "float",
        "object",
        "pandas",
        "category",
        "Int64",
        "boolean",
        "string",
        "list",
    ],
)
def test_B3_labels_of_all_kinds_keep_their_kind(labels, kind):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = quick(max_epochs=60).fit(X, labels)
        predicted = model.predict(X)
    assert model.classes_.dtype.kind == predicted.dtype.kind == kind
    assert model.classes_.tolist() == sorted(set(np.asarray(labels).tolist()))
    assert (predicted == np.asarray(labels)).mean() > 0.75
    if isinstance(labels, np.ndarray):
        assert model.classes_.dtype == labels.dtype


@pytest.mark.parametrize("values", [(0, 2), (1, 2), (-7, 1000)])
def test_B4_labels_with_gaps_are_the_same_model(values):
    expected = quick().fit(X, LEAK * 1)
    model = quick().fit(X, np.where(LEAK, values[1], values[0]))
    assert model.classes_.tolist() == list(values)
    np.testing.assert_array_equal(model.predict_proba(X), expected.predict_proba(X))
    assert set(model.predict(X)) <= set(values)


def test_B5_continuous_labels_are_an_error():
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        quick().fit(X, X[:, 0])


def test_B6_column_of_labels_warns_and_is_flattened():
    expected = quick().fit(X, y).predict_proba(X)
    with pytest.warns(DataConversionWarning, match="column-vector y"):
        model = quick().fit(X, y[:, None])
    np.testing.assert_array_equal(model.predict_proba(X), expected)
    with pytest.raises(ValueError, match=r"1d array.*\(80, 2\)"):
        quick().fit(X, np.column_stack([y, y]))


def test_B7_class_with_one_row_trains_and_warns():
    labels = at_row_5(y, "rare")
    with pytest.warns(DataQualityWarning, match=r"classes \['rare'\] have a single row each"):
        model = quick().fit(X, labels)
    assert model.classes_.tolist() == ["leak", "normal", "rare", "wear"]
    # scikit-learn's stratified split goes on as well, with its own warning
    with pytest.warns(UserWarning, match="least populated class in y has only 1 member"):
        scores = cross_val_score(quick(), X, labels, cv=StratifiedKFold(2), error_score="raise")
    assert np.isfinite(scores).all()


def test_B7_one_label_a_class_is_no_cause_for_a_warning():
    rows = [int(np.argmax(y == name)) for name in ("leak", "normal", "wear")]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        quick().fit(X[rows], y[rows])


def test_B8_imbalance_of_a_thousand_trains_and_balanced_weights_find_the_rare_class():
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(2002, 4))
    labels = np.where(np.arange(2002) < 2, "fault", "normal")
    rows[:2] += 1.5

    def of_fault(weight):
        models = [quick(max_epochs=15, batch_size=256, class_weight=weight, random_state=seed) for seed in range(3)]
        return np.mean([model.fit(rows, labels).predict_proba(rows)[:, 0] for model in models], axis=0)

    plain, balanced = of_fault(None), of_fault("balanced")
    assert balanced[:2].min() > 0.8
    assert balanced[:2].min() > plain[:2].max() + 0.2
    assert (balanced[2:] > 0.5).mean() < 0.05


def test_B8_balanced_is_the_weights_written_out():
    counts = {name: (y == name).sum() for name in np.unique(y)}
    written_out = {name: len(y) / (3 * n) for name, n in counts.items()}
    expected = quick(class_weight=written_out).fit(X, y).predict_proba(X)
    np.testing.assert_allclose(quick(class_weight="balanced").fit(X, y).predict_proba(X), expected, atol=1e-6)
    by_weight = quick().fit(X, y, sample_weight=[written_out[name] for name in y]).predict_proba(X)
    np.testing.assert_allclose(by_weight, expected, atol=1e-6)


@pytest.fixture(scope="module")
def backbone():
    return small_backbone(max_epochs=30)


@pytest.mark.parametrize("strategy", [None, FineTuning()])
def test_B9_class_that_the_source_did_not_know_gets_a_column(backbone, strategy):
    rows, labels = moons(120, seed=5)
    keep = labels != "wear"
    rows, labels = rows[keep], np.where(labels[keep] == "leak", "crack", labels[keep])
    model = TransferClassifier(backbone, strategy=strategy, max_epochs=5, lr=0.001, random_state=0).fit(rows, labels)
    assert backbone.source.classes.tolist() == ["leak", "normal", "wear"]
    assert model.classes_.tolist() == model.backbone_.source.classes.tolist() == ["crack", "normal"]
    result = model.predict_proba(rows)
    assert result.shape == (len(rows), 2)
    # the columns follow classes_: each class has the larger share in its own column
    assert result[labels == "crack", 0].mean() > 0.7
    assert result[labels == "normal", 1].mean() > 0.7


@pytest.mark.parametrize("model", [quick()])
@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.zeros(80), "zero for every row"),
        (np.r_[1.0, -1.0, np.ones(78)], "negative sample_weight in 1 row, the first is row 1"),
        (np.r_[1.0, np.nan, np.ones(78)], "NaN sample_weight in 1 row, the first is row 1"),
        (np.r_[np.ones(79), np.inf], "infinite sample_weight in 1 row, the first is row 79"),
        (np.ones(79), r"sample_weight of shape \(79,\); expected \(80,\)"),
        (np.ones((80, 1)), r"sample_weight of shape \(80, 1\); expected \(80,\)"),
        (["a"] * 80, "sample_weight that is not numbers"),
        (LEAK * 1.0, "at least two classes"),
    ],
    ids=["zero", "negative", "nan", "inf", "short", "column", "text", "one class left"],
)
def test_B10_unusable_sample_weight_is_an_error(model, weight, message):
    with pytest.raises(ValueError, match=message):
        model.fit(X, y, sample_weight=weight)


def test_B10_a_pipeline_hands_the_weights_on():
    with pytest.raises(ValueError, match="zero for every row"):
        scaled().fit(X, y, transferclassifier__sample_weight=np.zeros(80))
