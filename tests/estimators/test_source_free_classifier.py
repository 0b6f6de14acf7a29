"""SourceFreeClassifier: the head of the source stays, the blocks fit rows without labels; laws, and bad input."""

import io
import pickle
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import parametrize_with_checks

from sktransfer import (
    SHOT,
    AdaBN,
    BaselineScaler,
    FromScratch,
    MLPHead,
    Source,
    SourceClassifier,
    SourceClassWarning,
    SourceFreeClassifier,
    TransferClassifier,
    TransferRegressor,
    Windows,
    load_backbone,
    make_pipeline,
    save_backbone,
)
from tests.helpers import moons, width_free_backbone

METHODS = [SHOT(), AdaBN(), SHOT(prior="estimate", n_frozen_blocks=1)]


def clusters(n_rows=400, seed=0, shares=(1, 1, 1)):
    """Three classes around the corners of a triangle, in four columns."""
    rng = np.random.default_rng(seed)
    y = rng.choice(3, size=n_rows, p=np.array(shares) / sum(shares))
    X = 2.5 * np.eye(3, 4)[y] + rng.normal(size=(n_rows, 4))
    return X, np.array(["leak", "normal", "wear"])[y]


@pytest.fixture(scope="module")
def backbone():
    X, y = clusters(600)
    recipe = FromScratch(arguments={"hidden_layer_sizes": (32, 16)})
    return TransferClassifier(recipe, max_epochs=15, random_state=0).fit(X, y).backbone_


@pytest.fixture(scope="module")
def moved():
    X, y = clusters(300, seed=1)
    return X + [1.5, -1.0, 1.0, 0.0], y


def fitted(backbone, method, X=None, y=None, **parameters):
    parameters = {"max_epochs": 10, "random_state": 0, **parameters}
    return SourceFreeClassifier(backbone, method, **parameters).fit(X, y)


@pytest.mark.parametrize("method", METHODS[:2], ids=str)
def test_it_is_better_than_the_source_on_a_machine_that_moved(backbone, moved, method):
    X, y = moved
    model = fitted(backbone, method, X)
    assert model.adapted_
    assert model.score(X, y) > SourceClassifier(backbone).score(X, y)


@pytest.mark.parametrize("method", METHODS, ids=str)
def test_the_head_of_the_source_answers_on_the_adapted_blocks(backbone, moved, method):
    X, _ = moved
    model, source = fitted(backbone, method, X), backbone.source
    blocks = model.backbone_.copy_blocks()
    raw = X.astype(np.float32)
    import torch

    with torch.no_grad():
        for block in blocks:
            raw = block.eval()(torch.as_tensor(raw))
    outputs = (raw.double().numpy() - source.feature_mean) / source.feature_scale @ source.weight.T + source.bias
    np.testing.assert_allclose(model.predict_proba(X), softmax(outputs, axis=1), atol=1e-4)
    np.testing.assert_array_equal(model.classes_, source.classes)
    np.testing.assert_allclose(SourceClassifier(model.backbone_).predict_proba(X), model.predict_proba(X), atol=1e-4)


def test_adabn_moves_no_weight_and_shot_moves_no_statistics_of_frozen_blocks(backbone, moved):
    X, _ = moved
    by_statistics = fitted(backbone, AdaBN(), X).backbone_
    for now, before in zip(by_statistics.weights, backbone.weights, strict=True):
        for name in before:
            same = np.array_equal(now[name], before[name])
            assert same == ("running" not in name), name
    frozen = fitted(backbone, SHOT(n_frozen_blocks=1), X).backbone_
    assert frozen.weights[0] is backbone.weights[0]
    assert not np.array_equal(frozen.weights[1]["0.weight"], backbone.weights[1]["0.weight"])


def test_the_backbone_of_the_caller_does_not_change_and_fitting_twice_is_fitting_once(backbone, moved):
    X, _ = moved
    before = [{name: np.array(value) for name, value in weights.items()} for weights in backbone.weights]
    model = fitted(backbone, SHOT(), X)
    once = model.predict_proba(X)
    np.testing.assert_array_equal(model.fit(X).predict_proba(X), once)
    for weights, held in zip(backbone.weights, before, strict=True):
        assert all(np.array_equal(weights[name], value) for name, value in held.items())


def test_the_order_of_the_rows_makes_no_difference_and_the_seed_does(backbone, moved):
    X, y = moved
    order = np.random.default_rng(0).permutation(len(X))
    known = np.where(np.arange(len(y)) % 20 == 0, y, None)
    one, other = fitted(backbone, SHOT(), X, known), fitted(backbone, SHOT(), X[order], known[order])
    np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(X))
    assert not np.array_equal(one.predict_proba(X), fitted(backbone, SHOT(), X, known, random_state=1).predict_proba(X))


def test_labels_of_some_rows_are_learned_from(backbone):
    # classes have changed places: no look at the rows alone can know
    X, y = clusters(300, seed=2)
    swapped = np.where(y == "leak", "wear", np.where(y == "wear", "leak", y)).astype(object)
    some = np.full(len(y), None)
    some[:60] = swapped[:60]
    model = fitted(backbone, SHOT(), X, some, max_epochs=60, lr=0.001, guard=False)
    assert (
        model.score(X[60:], swapped[60:].astype(str)) > 0.6 > fitted(backbone, SHOT(), X).score(X, swapped.astype(str))
    )


@pytest.mark.parametrize("unlabelled", [-1, 99, "?"])
def test_rows_marked_as_unlabelled_are_as_rows_without_y(backbone, moved, unlabelled):
    X, _ = moved
    plain = fitted(backbone, SHOT(), X).predict_proba(X)
    y = np.full(len(X), unlabelled)
    marked = fitted(backbone, SHOT(), X, y, unlabelled_label=unlabelled)
    np.testing.assert_array_equal(marked.predict_proba(X), plain)


def test_an_unlabelled_label_that_is_a_class_is_an_error(backbone, moved):
    X, y = moved
    with pytest.raises(ValueError, match=r"unlabelled_label='leak' is a class of the source head"):
        fitted(backbone, SHOT(), X, y, unlabelled_label="leak")


def test_classes_that_the_source_does_not_know_are_said_once_and_count_as_unlabelled(backbone, moved):
    X, _ = moved
    with pytest.warns(SourceClassWarning, match=r"1 of 1 classes .*'crack'") as told:
        model = fitted(backbone, SHOT(), X, np.full(len(X), "crack"))
    assert len(told) == 1
    np.testing.assert_array_equal(model.predict_proba(X), fitted(backbone, SHOT(), X).predict_proba(X))


def test_classes_that_can_occur_are_the_only_ones(backbone):
    X, y = clusters(200, seed=3)
    two = y != "wear"
    model = fitted(backbone, SHOT(), X[two], classes=["normal", "leak"])
    assert model.classes_.tolist() == model.backbone_.source.classes.tolist() == ["leak", "normal"]
    assert model.score(X[two], y[two]) > 0.9
    assert model.predict_proba(X).shape == (200, 2)


@pytest.mark.parametrize("method", [AdaBN(), SHOT()], ids=str)
def test_windows_of_another_machine_go_through_a_network_of_windows(method):
    rng = np.random.default_rng(0)
    y = rng.choice(["ok", "worn"], size=160)
    X = np.sin(np.arange(32) * np.where(y == "ok", 0.3, 1.1)[:, None])[:, None] + 0.3 * rng.normal(size=(160, 1, 32))
    source = TransferClassifier(max_epochs=8, random_state=0).fit(Windows.of(X[:80], sampling_rate=100), y[:80])
    moved = Windows.of(X[80:] * 1.2 + 0.3, sampling_rate=100)
    model = fitted(source.backbone_, method, moved, max_epochs=3)
    assert model.sampling_rate_ == 100
    assert model.predict_proba(moved).shape == (80, 2)
    assert model.score(moved, y[80:]) >= source.score(moved, y[80:])
    np.testing.assert_allclose(pickle.loads(pickle.dumps(model)).predict_proba(moved), model.predict_proba(moved))
    with pytest.raises(ValueError, match="sampling"):
        model.predict(Windows.of(X[80:], sampling_rate=50))


# ---- shares of classes


def test_shares_that_differ_are_a_warning_that_names_the_remedy_and_equal_ones_are_not(backbone):
    X, y = clusters(300, seed=4, shares=(1, 18, 1))
    with pytest.warns(UserWarning, match=r"SHOT\(prior='equal'\) takes all 3 classes .*'normal' 8\d%") as told:
        equal = fitted(backbone, SHOT(), X, lr=0.001, guard=False)
    assert len(told) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        estimated = fitted(backbone, SHOT(prior="estimate"), X, lr=0.001, guard=False)
        fitted(backbone, SHOT(), clusters(300, seed=4)[0])
    np.testing.assert_allclose(estimated.shares_, [0.05, 0.9, 0.05], atol=0.08)
    assert estimated.score(X, y) > equal.score(X, y)


def test_an_adaptation_that_changes_its_mind_about_sure_rows_is_refused_and_said(backbone):
    # statistics of rows that are nearly all of one class
    X, y = clusters(300, seed=4, shares=(1, 18, 1))
    source = SourceClassifier(backbone)
    with pytest.warns(UserWarning, match=r"AdaBN\(\) is refused, and the source network answers") as told:
        guarded = fitted(backbone, AdaBN(), X)
    assert len(told) == 1
    assert not guarded.adapted_
    np.testing.assert_array_equal(guarded.predict_proba(X), source.predict_proba(X))
    bold = fitted(backbone, AdaBN(), X, guard=False)
    assert bold.adapted_
    assert bold.agreement_ == guarded.agreement_ < 0.95
    assert bold.score(X, y) < guarded.score(X, y)
    sure = np.sort(source.predict_proba(X), axis=1)
    sure = sure[:, -1] / sure[:, -2] >= np.median(sure[:, -1] / sure[:, -2])
    assert guarded.agreement_ == pytest.approx(np.mean(bold.predict(X)[sure] == source.predict(X)[sure]), abs=0.01)


# ---- scikit-learn's ways


def test_it_goes_through_a_pipeline_a_search_and_files(backbone, moved, tmp_path):
    X, y = moved
    frame = pd.DataFrame(X, columns=list("abcd"))
    scaler = BaselineScaler(compress=False).fit(np.random.default_rng(0).normal(size=(200, 4)))
    model = make_pipeline(scaler, SourceFreeClassifier(backbone, random_state=0)).fit(frame)
    for load in (lambda m: pickle.loads(pickle.dumps(m)), _through_joblib):
        np.testing.assert_array_equal(load(model).predict_proba(frame), model.predict_proba(frame))
    grid = {"method": [SHOT(), AdaBN()], "lr": [1e-3]}
    search = GridSearchCV(SourceFreeClassifier(backbone, max_epochs=2, random_state=0), grid, cv=2).fit(X, y)
    assert search.best_score_ > 0.8
    one = fitted(backbone, SHOT(), X)
    save_backbone(one.backbone_, tmp_path / "adapted.safetensors")
    loaded = SourceClassifier(load_backbone(tmp_path / "adapted.safetensors"))
    np.testing.assert_allclose(loaded.predict_proba(X), one.predict_proba(X), atol=1e-4)


def _through_joblib(model):
    buffer = io.BytesIO()
    joblib.dump(model, buffer)
    buffer.seek(0)
    return joblib.load(buffer)


def test_before_fit_and_after_a_failed_one_it_is_not_fitted(backbone, moved):
    X, _ = moved
    model = SourceFreeClassifier(backbone, max_epochs=2)
    for attempt in (lambda: model.predict(X), lambda: model.predict_proba(X)):
        with pytest.raises(NotFittedError):
            attempt()
    assert not hasattr(model, "classes_")
    model.fit(X)
    with pytest.raises(ValueError, match="at least 2 rows"):
        model.fit(X[:1])
    assert not hasattr(model, "backbone_")
    with pytest.raises(NotFittedError):
        model.predict(X)


def test_the_default_is_adabn(backbone, moved):
    X, _ = moved
    default, named = SourceFreeClassifier(backbone).fit(X), SourceFreeClassifier(backbone, AdaBN()).fit(X)
    np.testing.assert_array_equal(default.predict_proba(X), named.predict_proba(X))
    assert default.n_iter_ == 0 < fitted(backbone, SHOT(), X).n_iter_


def test_parameters_are_cloned_and_reached(backbone):
    model = SourceFreeClassifier(backbone, SHOT(pseudo=0.1))
    copied = clone(model).set_params(method__pseudo=0.5)
    assert (copied.method.pseudo, model.method.pseudo) == (0.5, 0.1)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"method": SHOT(pseudo=-1)}, "pseudo=-1"),
        ({"method": SHOT(prior=[1, 1])}, "3 shares"),
        ({"method": AdaBN(-2)}, "n_source=-2"),
        ({"method": "shot"}, "'method' parameter"),
        ({"method": SHOT(n_frozen_blocks="all")}, "freezes all of the 2 blocks"),
        ({"method": SHOT(n_frozen_blocks=7)}, "n_frozen_blocks=7"),
        ({"batch_size": 1}, "batch_size"),
        ({"guard": "yes"}, "guard"),
        ({"classes": ["leak", "crack"]}, r"SourceFreeClassifier: classes names .*'crack'"),
        ({"lr": 1e30}, "diverged"),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_wrong_parameters_are_errors_that_name_them(backbone, moved, parameters, message):
    with pytest.raises(ValueError, match=message):
        fitted(backbone, **{"method": SHOT(), "X": moved[0], **parameters})


def test_a_backbone_without_a_head_of_classes_is_an_error_that_says_what_to_do(moved):
    X, _ = moved
    with pytest.raises(ValueError, match="needs a backbone with a source head, got None"):
        SourceFreeClassifier().fit(X)
    values = TransferRegressor(max_epochs=1, random_state=0).fit(X, X[:, 0]).backbone_
    with pytest.raises(ValueError, match="predicts numbers, not classes"):
        SourceFreeClassifier(values).fit(X)
    X, y = moons(60)
    hidden = TransferClassifier(head=MLPHead(), max_epochs=1, random_state=0).fit(X, y).backbone_
    with pytest.raises(ValueError, match="has no source head"):
        SourceFreeClassifier(hidden).fit(X)


def test_labels_of_another_length_are_an_error(backbone, moved):
    with pytest.raises(ValueError, match=r"\[300, 299\]"):
        fitted(backbone, SHOT(), moved[0], moved[1][:-1])


# ---- scikit-learn's battery


def with_head(classes):
    made = width_free_backbone()
    rng, n = np.random.default_rng(0), made.n_features_out
    source = Source(
        np.zeros(n), np.ones(n), rng.normal(size=(len(classes), n)), np.zeros(len(classes)), np.array(classes)
    )
    return made.describe(source=source)


OF_THE_SOURCE = dict.fromkeys(
    ("check_classifiers_one_label", "check_classifiers_classes", "check_classifiers_train"),
    "the classes are those of the source, whatever y is",
)


@parametrize_with_checks(
    [SourceFreeClassifier(with_head([0, 1, 2, 3]), method, max_epochs=2) for method in (SHOT(), AdaBN())],
    expected_failed_checks=lambda estimator: OF_THE_SOURCE,
)
@pytest.mark.filterwarnings("ignore::sktransfer.exceptions.SourceClassWarning")
@pytest.mark.filterwarnings("ignore::sktransfer.exceptions.DataQualityWarning")
def test_it_passes_scikit_learns_checks(estimator, check):
    check(estimator)
