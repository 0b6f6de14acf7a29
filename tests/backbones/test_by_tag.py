"""Features by tag: against the blocks of the network, and laws over tags, files, fits and searches."""

import io
import warnings
from contextlib import redirect_stdout

import joblib
import numpy as np
import pytest
import torch
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import PrintLog

from sktransfer import (
    Backbone,
    BatchedGridSearchCV,
    FeatureExtractor,
    FineTuning,
    FromScratch,
    Inputs,
    LinearHead,
    LinearProbing,
    Source,
    TransferClassifier,
    TransferRegressor,
    Windows,
    load_backbone,
    register_network,
    save_backbone,
)
from sktransfer.backbones.by_tag import resolve_block, with_block
from sktransfer.model_selection.last_step import Note
from sktransfer.model_selection.shared_starts import SharedStarts
from sktransfer.networks.process_net import ProcessNet

N_TAGS, N_OF_TAG, N_POOLED = 4, 5 + 3 + 6, 10
PROBING = LinearProbing()


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    made = ProcessNet(n_scales=3, width=16, n_code=6, n_features=N_POOLED)
    made.train()
    for seed in range(100):  # BatchNorm measures such windows
        made(torch.from_numpy(windows(seed=seed)))
    for layer in made.modules():
        if isinstance(layer, torch.nn.BatchNorm1d):
            torch.nn.init.uniform_(layer.weight, 0.5, 2.0)
            torch.nn.init.normal_(layer.bias)
    return made.eval()


@pytest.fixture(scope="module")
def backbone(network):
    rng = np.random.default_rng(1)
    head = rng.normal(size=(2, N_POOLED)), rng.normal(size=2), np.array(["healthy", "leak"])
    features = run(network, windows(200, seed=9))
    source = Source(features.mean(axis=0), features.std(axis=0) + 0.1, *head)
    return Backbone(network, name="plant", inputs=Inputs(shape=(None, None)), source=source)


def windows(n=24, n_tags=N_TAGS, seed=0):
    return np.random.default_rng(seed).normal(size=(n, n_tags, 32)).astype(np.float32)


def faults(n=40, seed=0):
    """One fault, a step, at one of two tags: which tag it is is the class."""
    X, y = windows(n, seed=seed), np.arange(n) % 2
    X[np.arange(n), y] += 2.0
    return X, np.array(["feed", "level"])[y]


def run(module, X):
    with torch.inference_mode():
        return module(torch.from_numpy(X)).numpy()


def raw(backbone, X):
    return FeatureExtractor(backbone, standardize=False).fit_transform(X)


def near(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def test_features_are_those_of_each_tag_and_beside_them_those_of_the_plant(network, backbone):
    X = windows()
    of_tags = np.concatenate([run(network.tag, X[:, [i]])[:, 0] for i in range(N_TAGS)], axis=1)
    near(raw(with_block("", backbone, "tag", N_TAGS), X), of_tags)
    near(raw(with_block("", backbone, "both", N_TAGS), X), np.hstack([of_tags, run(network, X)]))
    near(raw(with_block("", backbone, "pooled", N_TAGS), X), run(network, X))


def test_statistics_of_features_by_tag_are_those_that_batchnorm_gives_them(network, backbone):
    tag, both = (with_block("", backbone, block, N_TAGS).source for block in ("tag", "both"))
    layers = network.tag.normalize, network.tag.scale
    # what a BatchNorm returns for what it measured has its bias as the mean and its weight as the deviation
    mean, scale = (np.concatenate([getattr(x, what).detach().numpy() for x in layers]) for what in ("bias", "weight"))
    near(tag.feature_mean, np.tile(mean, N_TAGS))
    near(tag.feature_scale, np.tile(scale, N_TAGS))
    near(both.feature_mean, np.r_[tag.feature_mean, backbone.source.feature_mean])
    near(both.feature_scale, np.r_[tag.feature_scale, backbone.source.feature_scale])
    assert tag.weight is None


def test_a_scale_is_positive_where_batchnorm_turns_a_feature_round(network, backbone):
    tag = backbone.copy_blocks()[0]
    tag.scale.weight.neg_()
    turned, as_is = tag.feature_statistics()[1], network.tag.feature_statistics()[1]
    np.testing.assert_array_equal(turned, as_is)
    assert (turned > 0).all()


def test_the_source_head_says_the_same_of_both_as_of_pooled_features(backbone):
    X, outputs = windows(), []
    for block in ("pooled", "both"):
        chosen = with_block("", backbone, block, N_TAGS)
        source, features = chosen.source, FeatureExtractor(chosen).fit_transform(X)
        outputs.append(features @ source.weight.T + source.bias)
        assert source.classes.tolist() == ["healthy", "leak"]
    near(*outputs)


def test_the_choice_draws_no_random_number_and_leaves_the_backbone_alone(backbone):
    before, state = [dict(weights) for weights in backbone.weights], torch.get_rng_state()
    for block in ("tag", "both"):
        with_block("", backbone, block, N_TAGS)
    assert torch.equal(torch.get_rng_state(), state)
    for weights, kept in zip(backbone.weights, before, strict=True):
        assert all(np.array_equal(weights[key], kept[key]) for key in kept)


def test_by_tag_the_same_fault_at_another_tag_is_another_class(backbone):
    (X, y), (X_new, y_new) = faults(), faults(200, seed=1)
    scores = {}
    for block in ("auto", "tag", "pooled", "both"):
        model = TransferClassifier(backbone, block=block, strategy=PROBING).fit(X, y)
        scores[block] = model.score(X_new, y_new)
    assert scores["tag"] > 0.95
    assert scores["both"] > 0.9
    assert scores["pooled"] < 0.65  # the two classes are alike but for the tag


def test_the_default_is_by_tag_to_the_last_bit(backbone):
    X, y = faults()
    found = [
        TransferClassifier(backbone, random_state=0, max_epochs=2, **block).fit(X, y).predict_proba(X)
        for block in ({}, {"block": "tag"})
    ]
    np.testing.assert_array_equal(*found)
    values = np.where(y == "feed", 0.0, 5.0)
    found = [
        TransferRegressor(backbone, strategy=PROBING, **block).fit(X, values).predict(X)
        for block in ({}, {"block": "tag"})
    ]
    np.testing.assert_array_equal(*found)
    assert np.abs(found[0] - values).mean() < 1


def test_tags_in_another_order_are_features_in_another_order(backbone):
    (X, y), order = faults(), [2, 0, 3, 1]
    models = [TransferClassifier(backbone, strategy=PROBING).fit(part, y) for part in (X, X[:, order])]
    near(models[0].predict_proba(X), models[1].predict_proba(X[:, order]))
    assert (models[0].predict(X) != models[0].predict(X[:, order])).any()


def test_what_was_fitted_by_tag_is_where_the_next_fit_begins(backbone, tmp_path):
    X, y = faults()
    source = TransferClassifier(backbone, strategy=PROBING).fit(X, y)
    assert source.backbone_.inputs.shape == (N_TAGS, None)
    loaded = load_backbone(save_backbone(source.backbone_, tmp_path / "by_tag.safetensors"))
    X_new, y_new = faults(seed=1)
    for known in (source.backbone_, loaded):
        for block in ("auto", "tag"):
            kept = TransferClassifier(known, block=block, strategy=LinearProbing(alpha=np.inf))
            kept.fit(X_new, y_new)
            # the head of the source alone decides: nothing of the new labels but the temperature
            assert (kept.predict(X_new) == source.predict(X_new)).all()
        near(raw(known, X_new), raw(source.backbone_, X_new))
    with pytest.raises(ValueError, match=r"5 channels.*takes 4"):
        TransferClassifier(loaded).fit(windows(n_tags=5), np.arange(24) % 2)


def test_names_of_tags_are_compared_where_tags_are_kept_apart(backbone):
    X, y = faults()
    names = ["feed", "level", "flow", "pressure"]
    named, turned = (Windows.of(X, channels=order) for order in (names, names[::-1]))
    by_tag, pooled = (
        TransferClassifier(backbone, block=block, strategy=PROBING).fit(named, y).backbone_
        for block in ("tag", "pooled")
    )
    assert by_tag.inputs.names == tuple(names)
    with pytest.raises(ValueError, match="same in another order"):
        TransferClassifier(by_tag, strategy=PROBING).fit(turned, y)
    with pytest.warns(UserWarning, match="other names of channels"):
        TransferClassifier(by_tag, strategy=PROBING).fit(Windows.of(X, channels=["a", *names[1:]]), y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        TransferClassifier(by_tag, strategy=PROBING).fit(named, y)
        TransferClassifier(pooled, strategy=PROBING).fit(turned, y)  # pooled tags have no order


@pytest.mark.parametrize(("first", "then"), [("tag", "pooled"), ("tag", "both"), ("both", "tag")])
def test_what_was_fitted_with_a_block_takes_no_other(backbone, first, then):
    X, y = faults()
    fitted = TransferClassifier(backbone, block=first, strategy=PROBING).fit(X, y).backbone_
    with pytest.raises(ValueError, match=f"fitted with block='{first}'.*block='{then}'"):
        TransferClassifier(fitted, block=then).fit(X, y)
    with pytest.raises(ValueError, match=f"fitted with block='{first}'"):
        FeatureExtractor(fitted, block=then).fit(X)


def test_what_was_fitted_to_pooled_features_keeps_its_head_and_takes_other_plants(backbone):
    X, y = faults()
    fitted = TransferClassifier(backbone, block="pooled", strategy=PROBING).fit(X, y).backbone_
    again = TransferClassifier(fitted, strategy=PROBING).fit(windows(n_tags=7), np.arange(24) % 2)
    assert again.backbone_.n_features_out == N_POOLED
    assert again.backbone_.inputs.shape == (None, None)
    asked = TransferClassifier(fitted, block="tag", strategy=PROBING).fit(X, y)
    assert asked.backbone_.n_features_out == N_TAGS * N_OF_TAG


def test_networks_without_features_by_tag_say_so(backbone):
    rows, y = np.random.default_rng(0).normal(size=(20, 53)), np.arange(20) % 2
    for block in ("tag", "both"):
        with pytest.raises(ValueError, match=r"'tep-process' has no features by tag.*'process' has.*block='auto'"):
            TransferClassifier("tep-process", block=block).fit(rows, y)
    found = [
        TransferClassifier("tep-process", block=block, strategy=PROBING).fit(rows, y).predict_proba(rows)
        for block in ("auto", "pooled")
    ]
    np.testing.assert_array_equal(*found)
    with pytest.raises(ValueError, match="'block' parameter"):
        TransferClassifier(backbone, block="tags").fit(windows(), np.arange(24) % 2)


@register_network("plant of another")
class OtherPlant(ProcessNet):
    """Its features are others, so that no network of ours is the same by tag."""

    def forward(self, x):
        return -super().forward(x)


def test_a_network_of_another_is_not_taken_for_ours():
    torch.manual_seed(0)
    other = Backbone(OtherPlant(3, 16, 6, N_POOLED), ["tag", "plant"], inputs=Inputs(shape=(None, None)))
    X, y = faults()
    assert TransferClassifier(other, strategy=PROBING).fit(X, y).backbone_.n_features_out == N_POOLED
    with pytest.raises(ValueError, match="no features by tag"):
        TransferClassifier(other, block="tag").fit(X, y)
    assert FeatureExtractor(other, block="tag").fit_transform(X).shape == (len(X), N_TAGS * N_OF_TAG)


def test_the_choice_keeps_name_and_provenance(backbone):
    known = backbone.describe(provenance={"seed": 3})
    for block in ("tag", "both"):
        chosen = with_block("", known, block, N_TAGS)
        assert (chosen.name, chosen.provenance) == ("plant", {"seed": 3})


def test_a_head_that_asks_for_the_source_head_gets_the_features_it_reads(backbone):
    X, y = windows(), np.resize(["healthy", "leak"], 24)
    head = LinearHead(init="source")
    auto, pooled = (
        TransferClassifier(backbone, head=head, block=block, strategy=PROBING).fit(X, y).predict_proba(X)
        for block in ("auto", "pooled")
    )
    np.testing.assert_array_equal(auto, pooled)
    with pytest.raises(ValueError, match=r"block='tag'.*features of all tags pooled.*block='both'"):
        TransferClassifier(backbone, head=head, block="tag").fit(X, y)


def test_a_head_that_states_its_source_classes_gets_both(backbone):
    head = LinearHead()
    head.source_classes = ["healthy", "leak"]
    auto, both = (
        with_block_of(TransferClassifier(backbone, head=head, block=block), backbone) for block in ("auto", "both")
    )
    assert auto.n_features_out == both.n_features_out == N_TAGS * N_OF_TAG + N_POOLED
    for said in ("auto", None):
        head.source_classes = said
        found = with_block_of(TransferClassifier(backbone, head=head), backbone)
        assert found.n_features_out == N_TAGS * N_OF_TAG


def with_block_of(estimator, backbone):
    return resolve_block(estimator, backbone, (N_TAGS, 32), 0)[0]


def test_windows_of_another_number_of_tags_are_refused_by_the_network(backbone):
    module = with_block("", backbone, "tag", N_TAGS).copy_blocks()[0]
    with pytest.raises(ValueError, match=r"keeps 4 tags apart and got windows of 3"):
        module(torch.zeros(2, 3, 32))


@pytest.mark.parametrize("block", ["tag", "both"])
def test_fitted_estimators_are_the_same_from_disk(backbone, block, tmp_path):
    X, y = faults()
    model = TransferClassifier(backbone, block=block, max_epochs=2, random_state=0).fit(X, y)
    joblib.dump(model, tmp_path / "model.joblib")
    near(joblib.load(tmp_path / "model.joblib").predict_proba(X), model.predict_proba(X))


@pytest.mark.parametrize("strategy", [PROBING, FineTuning(), FineTuning(n_frozen_blocks=1)], ids=repr)
def test_searches_over_blocks_score_as_scikit_learn_does(backbone, strategy):
    X, y = faults()
    model = TransferClassifier(backbone, strategy=strategy, max_epochs=2, random_state=0)
    found = [
        search(model, {"block": ["pooled", "tag", "both"]}, cv=2, scoring="neg_log_loss").fit(X, y)
        for search in (GridSearchCV, BatchedGridSearchCV)
    ]
    scores = [one.cv_results_["mean_test_score"] for one in found]
    np.testing.assert_allclose(scores[1], scores[0], rtol=1e-4)
    assert len(set(scores[0])) == 3
    assert found[1].best_params_ == found[0].best_params_


def test_a_search_asks_the_features_of_each_block_whether_the_rows_look_like_those_of_the_source(backbone):
    far = backbone.describe(source=Source(np.full(N_POOLED, 1e3), np.ones(N_POOLED)))
    X, y = faults()
    with SharedStarts() as starts, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        models = [TransferClassifier(far, block=block, strategy=PROBING) for block in ("pooled", "tag")]
        fits = [starts.start(Note(model, X, y, {}, 0)) for model in models]
    assert [fit.estimator.fits_source_ for fit in fits] == [False, True]
    assert fits[0].rows.X is fits[1].rows.X


def test_the_extractor_knows_the_same_words(network, backbone):
    X = windows()
    for block, width in (("tag", N_TAGS * N_OF_TAG), ("pooled", N_POOLED), ("both", N_TAGS * N_OF_TAG + N_POOLED)):
        chosen = with_block("", backbone, block, N_TAGS)
        extractor = FeatureExtractor(backbone, block=block)
        near(extractor.fit_transform(X), (raw(chosen, X) - chosen.source.feature_mean) / chosen.source.feature_scale)
        assert extractor.transform(X).shape == (24, width)
    near(FeatureExtractor(backbone, block="plant", standardize=False).fit_transform(X), run(network, X))


def test_the_untrained_network_keeps_its_tags_apart_too(backbone):
    X, y = faults()
    like = FromScratch.like(backbone)
    model = TransferClassifier(like, random_state=0, max_epochs=3).fit(X, y)
    assert model.backbone_.n_features_out == N_TAGS * N_OF_TAG
    other = TransferClassifier(FromScratch.like(model.backbone_), random_state=0, max_epochs=3)
    assert other.fit(windows(n_tags=2), np.arange(24) % 2).backbone_.n_features_out == 2 * N_OF_TAG
    assert TransferClassifier(like, block="pooled", max_epochs=2).fit(X, y).backbone_.n_features_out == N_POOLED
    with pytest.raises(ValueError, match="carries no feature statistics"):  # nothing was measured
        TransferClassifier(like, head=LinearHead(normalize="source"), max_epochs=2).fit(X, y)


def test_an_estimator_of_before_the_choice_stays_with_pooled_features(backbone):
    X, y = faults()
    model = TransferClassifier(backbone, block="pooled", strategy=PROBING).fit(X, y)
    state = model.__getstate__()
    del state["block"], state["_checksum"]  # nor were there checksums
    old = object.__new__(TransferClassifier)
    old.__setstate__(state)
    near(old.fit(X, y).predict_proba(X), model.predict_proba(X))


def test_epochs_are_printed_where_a_log_is_passed():
    X, y = np.random.default_rng(0).normal(size=(40, 3)), np.arange(40) % 2
    for callbacks, n_lines in ((None, 0), ([PrintLog()], 2 + 3), ([("log", PrintLog())], 2 + 3)):
        text = io.StringIO()
        with redirect_stdout(text):
            TransferClassifier(max_epochs=3, callbacks=callbacks).fit(X, y)
        assert len(text.getvalue().splitlines()) == n_lines


def test_a_search_asks_the_features_of_each_head_whether_the_rows_look_like_those_of_the_source(backbone):
    X, y = faults()
    classes = np.unique(y)
    weight = np.ones((len(classes), N_POOLED))
    head = Source(np.full(N_POOLED, 1e3), np.ones(N_POOLED), weight, np.zeros(len(classes)), classes)
    far = backbone.describe(source=head)
    with SharedStarts() as starts, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        heads = LinearHead(), LinearHead(init="source")
        models = [TransferClassifier(far, head=head, strategy=PROBING) for head in heads]
        fits = [starts.start(Note(model, X, y, {}, 0)) for model in models]
    assert [fit.estimator.fits_source_ for fit in fits] == [True, False]


def test_without_a_source_head_a_head_that_asks_for_it_changes_no_features(backbone):
    bare = backbone.describe(source=Source(np.zeros(N_POOLED), np.ones(N_POOLED)))
    for head in (LinearHead(init="source"), LinearHead(source_classes=["healthy", "leak"])):
        assert with_block_of(TransferClassifier(bare, head=head), bare).n_features_out == N_TAGS * N_OF_TAG
