"""TransferClassifier: labels in, probabilities out, and what the source knew is kept."""

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.base import clone
from skorch.callbacks import Callback

from sktransfer import (
    FeatureExtractor,
    FineTuning,
    FromScratch,
    LayerDecay,
    LinearHead,
    LinearProbing,
    MLPHead,
    OutOfRangeWarning,
    ProbeThenTune,
    TransferClassifier,
    TransferRegressor,
    WeightDecay,
)
from sktransfer.training.head_start import HeadStart
from sktransfer.training.rows import TrainingRows
from sktransfer.training.source_match import SourceMatch
from sktransfer.training.tasks import Classification
from tests.helpers import moons, small_backbone

SMALL = FromScratch(arguments={"hidden_layer_sizes": (16, 8)})


@pytest.fixture(scope="module")
def backbone():
    return small_backbone()


def few(n_per_class=5, seed=1, offset=0.0):
    X, y = moons(300, seed=seed, offset=offset)
    rows = np.concatenate([np.flatnonzero(y == name)[:n_per_class] for name in np.unique(y)])
    return X[rows], y[rows]


@pytest.mark.parametrize("params", [{}, {"strategy": ProbeThenTune(), "max_epochs": 3}, {"head": MLPHead((8,))}])
@pytest.mark.parametrize("transfer", [True, False])
def test_fitting_twice_is_fitting_once(backbone, params, transfer):
    X, y = few()
    model = TransferClassifier(backbone if transfer else SMALL, max_epochs=4, random_state=0).set_params(**params)
    once = clone(model).fit(X, y).predict_proba(X)
    twice = model.fit(-X[::2], y[::2]).fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(once, twice)


def test_probabilities_sum_to_one_and_their_largest_is_predicted(backbone):
    model = TransferClassifier(backbone, strategy=LinearProbing(), random_state=0).fit(*few())
    X, _ = moons(200, seed=2)
    probabilities = model.predict_proba(X)
    assert probabilities.shape == (200, 3)
    assert (probabilities >= 0).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, atol=1e-12)
    np.testing.assert_array_equal(model.predict(X), model.classes_[probabilities.argmax(axis=1)])
    np.testing.assert_allclose(model.predict_log_proba(X), np.log(probabilities), atol=1e-12)


@pytest.mark.parametrize(
    "names",
    [np.array(["leak", "normal"]), np.array([False, True]), np.array([0, 1]), np.array([-3, 40]), np.array([1.0, 2.0]),
     np.array(["Öl", "öl"], dtype=object)],
)  # fmt: skip
def test_labels_come_back_as_they_were_named(names):
    X, codes = moons(80)[0], (moons(80)[0][:, 0] > 0).astype(int)
    model = TransferClassifier(SMALL, max_epochs=30, lr=0.02, random_state=0).fit(X, names[codes])
    np.testing.assert_array_equal(model.classes_, np.unique(names))
    assert model.classes_.dtype == names.dtype
    predicted = model.predict(X)
    assert predicted.dtype == names.dtype
    assert (predicted == names[codes]).mean() > 0.9


@pytest.mark.parametrize("strategy", [None, ProbeThenTune()])
def test_a_class_weight_is_the_sample_weight_of_its_rows(backbone, strategy):
    X, y = moons(60, seed=1)
    weights = {"leak": 3.0, "normal": 0.5, "wear": 1.0}
    model = TransferClassifier(backbone, strategy=strategy, max_epochs=3, random_state=0)
    by_class = clone(model).set_params(class_weight=weights).fit(X, y).predict_proba(X)
    by_row = clone(model).fit(X, y, sample_weight=np.array([weights[name] for name in y])).predict_proba(X)
    np.testing.assert_allclose(by_class, by_row, atol=1e-6)
    assert np.abs(by_class - clone(model).fit(X, y).predict_proba(X)).max() > 1e-3


def test_balanced_makes_all_classes_weigh_the_same(backbone):
    X, y = moons(60, seed=1)
    names, counts = np.unique(y, return_counts=True)
    model = TransferClassifier(backbone, strategy=LinearProbing(alpha=1.0))
    factors = dict(zip(names, len(y) / (3 * counts), strict=True))
    balanced = clone(model).set_params(class_weight="balanced").fit(X, y).predict_proba(X)
    by_hand = clone(model).set_params(class_weight=factors).fit(X, y).predict_proba(X)
    np.testing.assert_allclose(balanced, by_hand, atol=1e-9)


def test_an_infinite_pull_is_the_source_head_on_the_classes_it_knows_by_name(backbone):
    X, _ = moons(50, seed=2)
    y = np.resize(["wear", "leak"], 50)  # two of the source's three classes, met in another order
    model = TransferClassifier(backbone, strategy=LinearProbing(alpha=np.inf)).fit(X, y)
    source = backbone.source
    rows = [source.classes.tolist().index(name) for name in model.classes_]
    features = FeatureExtractor(backbone).fit_transform(X).astype(float)
    expected = softmax(features @ source.weight[rows].T + source.bias[rows], axis=1)
    np.testing.assert_allclose(model.predict_proba(X), expected, atol=1e-5)


def test_a_new_class_begins_imprinted_along_its_mean_beside_the_known_ones(backbone):
    X, y = few()
    classes, codes = np.unique(np.where(y == "wear", "cavitation", y), return_inverse=True)
    features, weight = FeatureExtractor(backbone).fit_transform(X).astype(float), np.linspace(1, 2, len(X))
    task, source = Classification(classes, None), backbone.source
    match = SourceMatch(np.array([-1, *(source.classes.tolist().index(name) for name in ("leak", "normal"))]))
    rows_of_source = task.source_rows("auto", source, features.shape[1], match)
    start = HeadStart("auto", "source", source.feature_mean, source.feature_scale, *rows_of_source, used=None)
    W, b = task.begin(start, features, TrainingRows(X, codes, weight))
    np.testing.assert_array_equal(start.weight[0], 0.0)  # what is imprinted is not the source's
    known = [backbone.source.classes.tolist().index(name) for name in ("leak", "normal")]
    np.testing.assert_allclose(W[1:], backbone.source.weight[known])
    mean = np.average(features[codes == 0], axis=0, weights=weight[codes == 0])
    length = np.linalg.norm(backbone.source.weight[known], axis=1).mean()
    np.testing.assert_allclose(W[0], length * mean / np.linalg.norm(mean))
    np.testing.assert_allclose(b, [backbone.source.bias[known].mean(), *backbone.source.bias[known]])


def test_a_new_class_is_learned_beside_the_known_ones(backbone):
    X, y = moons(200, seed=4)
    y = np.where((y == "wear") & (X[:, 3] > 0), "cavitation", y)
    model = TransferClassifier(backbone, strategy=LinearProbing()).fit(X, y)
    assert (model.predict(X) == y)[y != "cavitation"].mean() > 0.85
    assert (model.predict(X) == y)[y == "cavitation"].mean() > 0.5


def test_init_source_refuses_a_class_that_the_source_does_not_know(backbone):
    X, y = few()
    with pytest.raises(ValueError, match="cavitation"):
        TransferClassifier(backbone, strategy=LinearProbing(), head=LinearHead(init="source")).fit(
            X, np.where(y == "wear", "cavitation", y)
        )


def test_the_loop_closes(backbone):
    X, y = few()
    first = TransferClassifier(backbone, strategy=LinearProbing(), random_state=0).fit(X, y)
    again = TransferClassifier(first.backbone_, strategy=LinearProbing(alpha=np.inf)).fit(X, y)
    assert first.backbone_.source.classes.tolist() == first.classes_.tolist()
    np.testing.assert_allclose(again.predict_proba(X), first.predict_proba(X), atol=1e-5)


@pytest.mark.parametrize("strategy", [FineTuning(), ProbeThenTune(), LayerDecay(0.5)])
def test_the_loop_closes_after_training_the_blocks(backbone, strategy):
    X, y = few(20, offset=0.3)
    first = TransferClassifier(backbone, strategy=strategy, max_epochs=5, lr=0.01, random_state=0).fit(X, y)
    again = TransferClassifier(first.backbone_, strategy=LinearProbing(alpha=np.inf)).fit(X, y)
    np.testing.assert_allclose(again.predict_proba(X), first.predict_proba(X), atol=1e-4)


def test_a_restated_head_answers_the_same_whatever_its_features_are_standardised_by(backbone):
    X, y = few(offset=0.4)
    answers = [
        TransferClassifier(
            backbone, strategy=LinearProbing(alpha=np.inf), head=LinearHead(normalize=by)
        ).fit(X, y).predict_proba(X)
        for by in ("source", "target", "none")
    ]  # fmt: skip
    np.testing.assert_allclose(answers[0], answers[1], atol=1e-5)
    np.testing.assert_allclose(answers[0], answers[2], atol=1e-5)


@pytest.mark.filterwarnings("ignore::sktransfer.exceptions.OutOfRangeWarning")
def test_transfer_helps_where_labels_are_few_and_does_no_harm(backbone):
    X_test, y_test = moons(1000, seed=9)
    scores = []
    for seed in range(3):
        X, y = few(3, seed=10 + seed)
        models = (
            TransferClassifier(SMALL, max_epochs=100, random_state=0),
            TransferClassifier(backbone, strategy=LinearProbing()),
            TransferClassifier(backbone, strategy=LinearProbing(alpha=np.inf)),
        )
        scores.append([model.fit(X, y).score(X_test, y_test) for model in models])
    scratch, transfer, source = np.mean(scores, axis=0)
    assert transfer > scratch + 0.1
    assert transfer > source - 0.05


def test_labels_of_another_task_are_learned_from_the_rows_not_from_the_source(backbone):
    X, y = moons(400, seed=3)
    swapped = np.array([{"leak": "wear", "wear": "normal", "normal": "leak"}[name] for name in y])
    assert (
        TransferClassifier(backbone, strategy=LinearProbing(), random_state=0).fit(X, swapped).score(X, swapped) > 0.9
    )


def test_an_mlp_head_learns_on_blocks_that_do_not(backbone):
    X, y = few(20)
    model = TransferClassifier(
        backbone, strategy=LinearProbing(), head=MLPHead((8,)), max_epochs=30, lr=0.02, random_state=0
    ).fit(X, y)
    assert [record["frozen_blocks"] for record in model.history_] == [3] * 30
    assert all(a is b for a, b in zip(model.backbone_.weights, backbone.weights, strict=True))
    assert model.history_[-1]["train_loss"] < 0.7 * model.history_[0]["train_loss"]


def test_without_a_strategy_a_backbone_is_probed_then_tuned_and_a_recipe_is_trained(backbone):
    X, y = few()
    for start, strategy in ((backbone, ProbeThenTune()), (SMALL, WeightDecay(0.01))):
        model = TransferClassifier(start, max_epochs=3, random_state=0)
        expected = clone(model).set_params(strategy=strategy).fit(X, y).predict_proba(X)
        np.testing.assert_array_equal(model.fit(X, y).predict_proba(X), expected)


def test_history_says_what_was_solved_and_what_was_trained(backbone):
    X, y = few()
    model = TransferClassifier(backbone, strategy=ProbeThenTune(alpha=2.0), max_epochs=4, random_state=0).fit(X, y)
    assert model.history_[0]["alpha"] == 2.0
    assert [record["frozen_blocks"] for record in model.history_[1:]] == [0] * 4
    assert model.n_iter_ == 4
    probed = TransferClassifier(backbone, strategy=LinearProbing()).fit(X, y)
    assert len(probed.history_) == 1
    assert probed.n_iter_ == probed.history_[0]["n_iter"] >= 1


def test_auto_epochs_are_about_a_thousand_steps():
    model = TransferClassifier(batch_size=10)
    assert [model._n_epochs(n) for n in (20, 100, 500, 10**5)] == [500, 100, 20, 10]
    assert model.set_params(max_epochs=7)._n_epochs(20) == 7


def test_rows_far_outside_are_never_certain(backbone):
    model = TransferClassifier(backbone, strategy=LinearProbing()).fit(*few())
    with pytest.warns(OutOfRangeWarning, match="1 of 2 rows"):
        probabilities = model.predict_proba(np.array([[0.1, 0.2, 0.3, 0.4], [1e6, 0.0, 0.0, 0.0]]))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)
    np.testing.assert_allclose(probabilities[1], 1 / 3, atol=1e-3)


def test_the_caller_s_callbacks_and_parameters_are_not_changed(backbone):
    callbacks, weights = [Callback()], {"leak": 2.0}
    model = TransferClassifier(
        backbone, strategy=FineTuning(1), head=MLPHead((4,)), callbacks=callbacks, class_weight=weights, max_epochs=1
    )
    before = {name: repr(value) for name, value in model.get_params().items()}
    model.fit(*few())
    assert {name: repr(value) for name, value in model.get_params().items()} == before
    assert model.callbacks is callbacks
    assert weights == {"leak": 2.0}


X, y = moons(60)


@pytest.mark.parametrize("weight", [None, [1.0] + [0.0] * 11])
def test_one_different_row_is_an_error_that_says_so(weight):
    rows = np.tile(X[:1], (12, 1)) if weight is None else X[:12]
    with pytest.raises(ValueError, match="at least 2 different rows"):
        TransferRegressor(FromScratch(arguments={"hidden_layer_sizes": (4,)})).fit(rows, np.ones(12), weight)


def test_a_class_weight_for_a_class_that_a_fold_lacks_is_no_error(backbone):
    two = y != "wear"
    weights = {"normal": 1.0, "leak": 2.0, "wear": 3.0}
    model = TransferClassifier(backbone, strategy=LinearProbing(), class_weight=weights).fit(X[two], y[two])
    assert model.classes_.tolist() == ["leak", "normal"]


def test_small_batches_still_mean_about_a_thousand_steps():
    model = TransferClassifier(batch_size=1)
    assert model._n_epochs(12) == 167  # six batches of two rows
