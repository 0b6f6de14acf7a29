"""SourceClassifier and SourceRegressor: what the source head says, against its formula in numpy, and laws."""

import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn.pipeline
from scipy.special import softmax
from sklearn.base import clone
from sklearn.model_selection import cross_val_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from sktransfer import (
    BaselineScaler,
    DataQualityWarning,
    FeatureExtractor,
    FromScratch,
    MLPHead,
    OutOfRangeWarning,
    Pipeline,
    Source,
    SourceClassifier,
    SourceRegressor,
    TransferClassifier,
    TransferRegressor,
    Windows,
    load_backbone,
    load_tep_mode4,
    make_pipeline,
    save_backbone,
)
from sktransfer.estimators import source_estimator
from tests.helpers import moons, small_backbone, width_free_backbone

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def backbone():
    return small_backbone()


@pytest.fixture(scope="module")
def rows():
    return moons(200, seed=5)


@pytest.fixture(scope="module")
def regression():
    X = np.random.default_rng(0).normal(size=(300, 3))
    y = np.column_stack([40 + 5 * X[:, 0], 1e-3 * X[:, 1]])
    return TransferRegressor(max_epochs=20, random_state=0).fit(X, y), X


def by_formula(backbone, X, classes=None):
    """Probabilities of the source head, from the raw features."""
    source = backbone.source
    raw = FeatureExtractor(backbone, standardize=False).fit_transform(X).astype(np.float64)
    outputs = (raw - source.feature_mean) / source.feature_scale @ source.weight.T + source.bias
    if classes is not None:
        outputs = outputs[:, [list(source.classes).index(name) for name in classes]]
    return softmax(outputs, axis=1)


def test_probabilities_are_those_of_the_source_head(backbone, rows):
    X, y = rows
    model = SourceClassifier(backbone).fit(X)
    np.testing.assert_allclose(model.predict_proba(X), by_formula(backbone, X), atol=1e-5)
    np.testing.assert_array_equal(model.classes_, backbone.source.classes)
    np.testing.assert_array_equal(model.predict(X), model.classes_[model.predict_proba(X).argmax(1)])
    np.testing.assert_allclose(np.exp(model.predict_log_proba(X)), model.predict_proba(X), atol=1e-12)
    assert model.score(X, y) > 0.8


@pytest.mark.parametrize("classes", [["wear", "leak"], ("normal", "wear"), np.array(["leak", "normal", "wear"])])
def test_classes_restrict_the_answer_to_those_in_the_order_of_the_source(backbone, rows, classes):
    X = rows[0]
    model = SourceClassifier(backbone, classes=classes)
    ordered = [name for name in backbone.source.classes if name in list(classes)]
    assert model.classes_.tolist() == ordered
    np.testing.assert_allclose(model.predict_proba(X), by_formula(backbone, X, ordered), atol=1e-5)
    assert set(model.predict(X)) <= set(classes)


def test_it_predicts_without_fit_as_after_it_and_keeps_no_trace_of_the_rows(backbone, rows):
    X = rows[0]
    unfitted, fitted = SourceClassifier(backbone), SourceClassifier(backbone).fit(X[:3])
    np.testing.assert_array_equal(unfitted.predict_proba(X), fitted.predict_proba(X))
    assert not hasattr(unfitted, "n_features_in_")
    frame = pd.DataFrame(X, columns=list("abcd"))
    np.testing.assert_array_equal(unfitted.predict(frame), fitted.predict(X))
    with pytest.raises(ValueError, match=r"with 3 features, but its backbone .* on 4"):
        unfitted.predict(X[:, :3])
    with pytest.raises(ValueError, match="NaN"):
        unfitted.predict(np.full((1, 4), np.nan))


def test_labels_are_not_learned_from(backbone, rows):
    X, y = rows
    shuffled = np.random.default_rng(0).permutation(y)
    plain, told = SourceClassifier(backbone).fit(X), SourceClassifier(backbone).fit(X, shuffled)
    np.testing.assert_array_equal(plain.predict_proba(X), told.predict_proba(X))
    np.testing.assert_allclose(cross_val_score(SourceClassifier(backbone), X, y, cv=4).mean(), plain.score(X, y))


def test_labels_that_the_source_does_not_know_are_said_once_and_known_ones_are_not(backbone, rows):
    X, y = rows
    with pytest.warns(UserWarning, match=r"1 of 3 classes .* \(first: \['worn'\]\)") as told:
        SourceClassifier(backbone).fit(X, np.where(y == "wear", "worn", y))
    assert len(told) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        SourceClassifier(backbone).fit(X, y)
        SourceClassifier(backbone).fit(X).predict(X)


def test_labels_that_somebody_renumbered_are_told_from_names_that_differ(backbone, rows):
    X, y = rows
    with pytest.warns(UserWarning, match=r"3 of 3 .*renumbered.* stand for \['leak', 'normal', 'wear'\]"):
        SourceClassifier(backbone).fit(X, np.unique(y, return_inverse=True)[1])
    with pytest.warns(UserWarning, match="names that classes_ lists"):
        SourceClassifier(backbone).fit(X, np.unique(y, return_inverse=True)[1] + 5)


def test_parameters_that_are_set_after_the_fit_wait_for_the_next_one(backbone, rows):
    X = rows[0]
    model = SourceClassifier(backbone).fit(X)
    before = model.predict_proba(X)
    model.set_params(classes=["leak", "normal"])
    np.testing.assert_array_equal(model.predict_proba(X), before)
    assert model.classes_.tolist() == ["leak", "normal", "wear"]
    assert model.fit(X).classes_.tolist() == ["leak", "normal"]
    assert model.predict_proba(X).shape == (len(X), 2)


def test_a_head_that_was_solved_and_one_behind_dead_features_are_read_as_they_were_written(backbone, rows):
    X, y = rows
    fitted = TransferClassifier(backbone, random_state=0).fit(X[:30], y[:30])
    again = SourceClassifier(fitted.backbone_)
    np.testing.assert_allclose(again.predict_proba(X), fitted.predict_proba(X), atol=2e-3)
    assert (again.predict(X) == fitted.predict(X)).mean() > 0.99


def test_rows_far_outside_the_range_of_the_source_are_no_certainty_and_are_counted(backbone, rows):
    X = rows[0].copy()
    X[:7] *= 1e4
    for model in (SourceClassifier(backbone), SourceClassifier(backbone).fit(X)):
        with pytest.warns(OutOfRangeWarning, match="SourceClassifier: 7 of 200 rows") as told:
            proba = model.predict_proba(X)
        assert len(told) == 1
        assert proba[:7].max() < 0.9
        with pytest.warns(OutOfRangeWarning, match="7 of 200"):
            model.predict(X)


def test_the_readme_line_for_zero_labels():
    plant = load_tep_mode4()
    X, y = plant.data, plant.target
    scaler = BaselineScaler().fit(X[y == "normal"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataQualityWarning)
        models = [
            kind([("scale", scaler), ("source", SourceClassifier("tep-process"))])
            for kind in (sklearn.pipeline.Pipeline, Pipeline)
        ]
        found = [model.predict(X) for model in models]
        expected = by_formula(load_backbone("tep-process"), scaler.transform(X)).argmax(axis=1)
    names = load_backbone("tep-process").source.classes
    for labels in found:
        assert (labels == names[expected]).mean() > 0.99  # all but rows outside the range of the source
        assert (labels == y).mean() > 0.55


def test_windows_go_through_the_front_end_and_their_rate_is_compared():
    rng = np.random.default_rng(0)
    X = Windows.of(rng.normal(size=(6, 2, 2048)), sampling_rate=12_000, rpm=1800)
    backbone = load_backbone("vibration")
    model = SourceClassifier("vibration", classes=["inner", "outer", "ball"])
    assert model.classes_.tolist() == ["inner", "outer", "ball"]  # the order of the source head
    np.testing.assert_allclose(model.predict_proba(X), by_formula(backbone, X, model.classes_.tolist()), atol=1e-5)
    with pytest.raises(ValueError, match="do not say their rate"):
        model.predict(np.asarray(X))
    model.fit(X)
    with pytest.raises(ValueError, match="channels"):
        model.predict(X[:, :1])


@pytest.mark.parametrize("n_channels", [1, 2, 5])
def test_a_network_of_any_number_of_channels_forgets_ranges_of_another_number(n_channels):
    rng = np.random.default_rng(0)
    network = FromScratch.like(load_backbone("process"))
    source = TransferClassifier(network, block="pooled", max_epochs=2, random_state=0)
    source.fit(rng.normal(size=(20, 2, 64)), np.arange(20) % 2)
    X = rng.normal(size=(5, n_channels, 64))
    X[0, :, 7] = 15.0  # outside the range of the two channels of the source
    model = SourceClassifier(source.backbone_).fit(X)
    if n_channels == 2:
        with pytest.warns(OutOfRangeWarning, match="1 of 5"):
            model.predict(X)
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            np.testing.assert_allclose(model.predict_proba(X), by_formula(source.backbone_, X), atol=1e-4)


def test_numbers_come_in_the_unit_of_the_source(regression):
    fitted, X = regression
    model = SourceRegressor(fitted.backbone_)
    np.testing.assert_allclose(model.predict(X), fitted.predict(X), rtol=1e-4, atol=1e-6)
    one = TransferRegressor(max_epochs=5, random_state=0).fit(X, 40 + 5 * X[:, 0])
    assert SourceRegressor(one.backbone_).fit(X).predict(X).shape == (len(X),)
    np.testing.assert_allclose(SourceRegressor(one.backbone_).predict(X), one.predict(X), rtol=1e-4)
    with pytest.raises(ValueError, match=r"1 value a row, .* predicts 2"):
        model.fit(X, X[:, 0])
    with pytest.warns(OutOfRangeWarning, match="SourceRegressor: 300 of 300"):
        model.predict(X * 1e4)


def test_the_kind_of_the_source_head_must_be_that_of_the_estimator(backbone, regression):
    fitted, X = regression
    with pytest.raises(ValueError, match=r"predicts numbers, not classes. Use SourceRegressor"):
        SourceClassifier(fitted.backbone_).predict(X)
    with pytest.raises(ValueError, match=r"tells classes, not numbers. Use SourceClassifier"):
        SourceRegressor(backbone).predict(moons(3)[0])


def test_a_backbone_without_a_source_head_is_an_error_with_the_remedy(rows):
    X, y = rows
    hidden = TransferClassifier(head=MLPHead((4,)), max_epochs=1).fit(X, y).backbone_
    for headless in (FromScratch().build(4), hidden):
        for call in (SourceClassifier(headless).fit, SourceClassifier(headless).predict):
            with pytest.raises(ValueError, match=r"has no source head.*TransferClassifier"):
                call(X)
        with pytest.raises(ValueError, match="has no source head"):
            SourceClassifier(headless).classes_  # noqa: B018
    with pytest.raises(ValueError, match=r"got None.*list_backbones"):
        SourceClassifier().predict(X)
    with pytest.raises(FileNotFoundError, match="tep-process"):
        SourceClassifier("tep-proces").predict(X)


@pytest.mark.parametrize(
    ("classes", "found"),
    [
        (["normal", "laek"], r"\['laek'\], which it does not have. Did you mean 'leak'\? It has"),
        (["normal"], r"\['normal'\]"),
        (["normal", "normal"], r"\['normal', 'normal'\]"),
        ([], r"\[\]"),
    ],
)
def test_classes_that_cannot_be_meant_are_an_error(backbone, rows, classes, found):
    with pytest.raises(ValueError, match="two or more of the classes of backbone .*" + found):
        SourceClassifier(backbone, classes=classes).predict(rows[0])


def test_files_of_an_estimator_that_was_fitted_or_was_not(tmp_path, backbone, rows):
    X = rows[0]
    path = save_backbone(backbone, tmp_path / "b.safetensors")
    for start in (backbone, path, str(path)):
        for model in (SourceClassifier(start), SourceClassifier(start).fit(X)):
            expected = model.predict_proba(X)
            joblib.dump(model, tmp_path / "m.joblib")
            for other in (joblib.load(tmp_path / "m.joblib"), pickle.loads(pickle.dumps(model)), clone(model)):
                np.testing.assert_array_equal(other.predict_proba(X), expected)


def test_a_file_is_read_once_and_is_not_part_of_what_is_stored(monkeypatch):
    read = []
    monkeypatch.setattr(source_estimator, "load_backbone", lambda path: read.append(path) or load_backbone(path))
    model = SourceClassifier("tep-process")
    for _ in range(3):
        model.predict(np.zeros((2, 53)))
    assert model.classes_.shape == (13,)
    assert read == ["tep-process"]
    assert len(pickle.dumps(model)) < 2_000  # the name; its file has 600,000 bytes
    model.set_params(backbone="vibration")
    assert model.classes_.shape == (16,)
    assert read == ["tep-process", "vibration"]


def test_another_backbone_may_be_set(backbone, rows):
    X = rows[0]
    model = SourceClassifier(backbone)
    model.predict(X)
    other = small_backbone(seed=1, max_epochs=2)
    model.set_params(backbone=other)
    np.testing.assert_allclose(model.predict_proba(X), by_formula(other, X), atol=1e-5)


def test_predicting_without_labels_needs_no_torch(tmp_path):
    code = (
        "import sys, numpy; from sktransfer import SourceClassifier; "
        "SourceClassifier('tep-process').predict(numpy.zeros((2, 53))); "
        "print(*[m for m in ('torch', 'skorch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout.split()) == (0, []), done.stderr


def test_it_stands_in_our_pipeline_and_in_theirs_alike(backbone, rows):
    X, y = rows
    scaler = BaselineScaler(compress=False).fit(X[y == "normal"])
    ours = make_pipeline(scaler, SourceClassifier(backbone))
    np.testing.assert_array_equal(ours.predict(X), SourceClassifier(backbone).predict(scaler.transform(X)))


# ---- scikit-learn's battery


def with_head(classes=None):
    made = width_free_backbone()
    rng, n = np.random.default_rng(0), made.n_features_out
    n_rows = 1 if classes is None else len(classes)
    names = None if classes is None else np.array(classes)
    return made.describe(source=Source(np.zeros(n), np.ones(n), rng.normal(size=(n_rows, n)), np.zeros(n_rows), names))


OF_THE_SOURCE = "the classes are those of the source, whatever y is"


def expected_failures(estimator):
    if isinstance(estimator, SourceRegressor):
        return {}
    names = ("check_classifiers_one_label", "check_classifiers_classes", "check_classifiers_train")
    return dict.fromkeys(names, OF_THE_SOURCE)


@parametrize_with_checks(
    [SourceClassifier(with_head([-1, 0, 1, 2, 3])), SourceRegressor(with_head())],
    expected_failed_checks=expected_failures,
)
@pytest.mark.filterwarnings("ignore:SourceClassifier. y holds:UserWarning")
@pytest.mark.filterwarnings("ignore::sktransfer.exceptions.DataQualityWarning")
def test_it_passes_scikit_learns_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize(
    ("known", "missing"),
    [({}, "['rpm', 'orders']"), ({"rpm": 1800}, "['orders']"), ({"orders": [3.6, 5.4, 2.4, 0.4]}, "['rpm']")],
)
def test_a_head_of_fault_orders_says_what_it_cannot_read(known, missing):
    X = Windows.of(np.random.default_rng(0).normal(size=(6, 1, 2048)), sampling_rate=12_000, **known)
    model = SourceClassifier("vibration", classes=["inner", "outer", "ball"])
    with pytest.warns(DataQualityWarning, match="do not know their") as said:
        model.predict(X)
    assert len(said) == 1
    assert f"6 of 6 windows do not know their {missing}" in str(said[0].message)
    assert "orders=BearingGeometry" in str(said[0].message)


def test_a_head_of_fault_orders_is_quiet_where_all_are_known_and_counts_where_some_are():
    rng = np.random.default_rng(0)
    known = Windows.of(rng.normal(size=(6, 1, 2048)), sampling_rate=12_000, rpm=1800, orders=[3.6, 5.4, 2.4, 0.4])
    model = SourceClassifier("vibration")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict(known)
        SourceClassifier("tep-process").predict(np.zeros((3, 53)))
    rpm = np.array([1800.0, np.nan, 1800, 1800, np.nan, 1800])
    some = Windows.of(np.asarray(known), sampling_rate=12_000, rpm=rpm, orders=[3.6, 5.4, 2.4, 0.4])
    with pytest.warns(DataQualityWarning, match=r"2 of 6 windows do not know their \['rpm'\]"):
        model.predict(some)


def test_a_file_gives_back_the_attributes_it_was_given():
    model = SourceClassifier("tep-process")
    assert vars(pickle.loads(pickle.dumps(model))).keys() == vars(model).keys()
