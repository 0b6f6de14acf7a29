"""FeatureExtractor: the frozen backbone as a transformer."""

import subprocess
import sys

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from torch import nn

import sktransfer
from sktransfer import (
    Backbone,
    FeatureExtractor,
    FromScratch,
    LinearProbing,
    TransferClassifier,
    load_backbone,
    register_network,
    save_backbone,
)
from tests.helpers import moons, small_backbone


@pytest.fixture(scope="module")
def backbone():
    return small_backbone(max_epochs=10)


def by_hand(backbone, X, n_blocks=None):
    with torch.inference_mode():
        x = torch.from_numpy(np.asarray(X, np.float32))
        for block in backbone._modules[:n_blocks]:
            x = block(x)
    return x.numpy()


def test_features_are_the_blocks_applied_in_order(backbone):
    X, _ = moons(50, seed=1)
    found = FeatureExtractor(backbone, standardize=False).fit_transform(X)
    np.testing.assert_allclose(found, by_hand(backbone, X), atol=1e-6)
    assert found.dtype == np.float32
    assert found.shape == (50, backbone.n_features_out)


def test_standardised_features_have_mean_zero_and_spread_one_on_the_source_rows(backbone):
    X, _ = moons(600, seed=0)  # what the backbone was trained on
    z = FeatureExtractor(backbone).fit_transform(X)
    source = backbone.source
    np.testing.assert_allclose(z, (by_hand(backbone, X) - source.feature_mean) / source.feature_scale, atol=1e-5)
    np.testing.assert_allclose(z.mean(axis=0), 0.0, atol=1e-3)
    assert np.median(z.std(axis=0)) == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize(("block", "n_blocks"), [("block1", 1), ("block2", 2), ("block3", 3), (None, 3)])
def test_a_block_s_output_is_returned(backbone, block, n_blocks):
    X, _ = moons(30, seed=1)
    extractor = FeatureExtractor(backbone, block=block, standardize=False).fit(X)
    np.testing.assert_allclose(extractor.transform(X), by_hand(backbone, X, n_blocks), atol=1e-6)
    assert len(extractor.get_feature_names_out()) == [32, 32, 16][n_blocks - 1]


def test_a_lower_block_is_never_standardised_by_the_last_one_s_statistics(backbone):
    X, _ = moons(30, seed=1)
    np.testing.assert_array_equal(
        FeatureExtractor(backbone, block="block2").fit_transform(X),
        FeatureExtractor(backbone, block="block2", standardize=False).fit_transform(X),
    )


def test_an_unknown_block_is_an_error_that_names_the_known_ones(backbone):
    with pytest.raises(ValueError, match=r"no block 'block9'.*'block1', 'block2', 'block3'"):
        FeatureExtractor(backbone, block="block9").fit(moons(10)[0])


def test_outputs_of_windows_are_flattened_row_by_row():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 6), nn.Unflatten(1, (2, 3)), nn.Flatten())
    X, _ = moons(20)
    folded = FeatureExtractor(Backbone(net), block="1").fit_transform(X)
    np.testing.assert_array_equal(folded, FeatureExtractor(Backbone(net), block="0").fit_transform(X))


def test_linear_probing_learns_on_exactly_these_features(backbone):
    X, y = moons(60, seed=1, offset=0.3)
    model = TransferClassifier(backbone, strategy=LinearProbing(alpha=1.0)).fit(X, y)
    seen = {}
    hook = model.module_.head.hidden.register_forward_hook(lambda module, args, output: seen.update(z=args[0]))
    model.module_.run(X.astype(np.float32))
    hook.remove()
    features = FeatureExtractor(backbone).fit_transform(X)
    np.testing.assert_allclose(seen["z"][:60].numpy(), features, atol=1e-5)
    head = model.backbone_.source
    logits = features.astype(np.float64) @ head.weight.T + head.bias
    assert (model.classes_[logits.argmax(axis=1)] == model.predict(X)).all()


def test_nothing_is_learned_from_the_rows(backbone):
    X, y = moons(40, seed=1)
    first, second = FeatureExtractor(backbone).fit(X, y), FeatureExtractor(backbone).fit(X[:1] + 100)
    np.testing.assert_array_equal(first.transform(X), second.transform(X))
    assert first.backbone_ is backbone


def test_rows_get_the_same_features_alone_and_in_any_number(backbone):
    X, _ = moons(2100, seed=1)
    extractor = FeatureExtractor(backbone).fit(X)
    together = extractor.transform(X)
    # few rows are computed in float64, many in float32, where BLAS rounds by the number of rows
    np.testing.assert_allclose(together[[0]], extractor.transform(X[[0]]), atol=1e-6)
    np.testing.assert_allclose(together[1000:1100], extractor.transform(X[1000:1100]), atol=1e-6)
    few = extractor.transform(X[:60])
    alone = np.vstack([extractor.transform(X[i : i + 1]) for i in range(60)])
    np.testing.assert_allclose(alone, few, rtol=2e-7)


def test_names_and_frames(backbone):
    X, _ = moons(20)
    frame = pd.DataFrame(X, columns=list("abcd"))
    extractor = FeatureExtractor(backbone).set_output(transform="pandas").fit(frame)
    features = extractor.transform(frame)
    assert list(features.columns) == [f"featureextractor{i}" for i in range(16)]
    assert list(extractor.get_feature_names_out()) == list(features.columns)
    assert features.index.equals(frame.index)
    with pytest.raises(ValueError, match="another order"):
        extractor.transform(frame[list("badc")])


def test_an_untrained_network_is_drawn_by_the_random_state():
    X, _ = moons(20)
    recipe = FromScratch(arguments={"hidden_layer_sizes": (8,)})
    first, same, other = (FeatureExtractor(recipe, random_state=seed).fit_transform(X) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)
    assert first.shape == (20, 8)


def test_a_file_is_a_backbone(backbone, tmp_path):
    X, _ = moons(20)
    path = save_backbone(backbone, tmp_path / "b.safetensors")
    for given in (path, str(path)):
        np.testing.assert_array_equal(
            FeatureExtractor(given).fit_transform(X), FeatureExtractor(backbone).fit_transform(X)
        )


def test_columns_that_do_not_fit_are_an_error_that_names_both_numbers(backbone):
    with pytest.raises(ValueError, match=r"X with 3 features.*pretrained on 4"):
        FeatureExtractor(backbone).fit(moons(20)[0][:, :3])


def test_features_that_are_not_finite_are_an_error():
    net = nn.Sequential(nn.Linear(4, 3))
    with torch.no_grad():
        net[0].weight.fill_(float("inf"))
    with pytest.raises(ValueError, match="not finite"):
        FeatureExtractor(Backbone(net)).fit_transform(moons(20)[0])


@register_network("counting")
class Counting(nn.Module):
    """Notes how many rows went through it."""

    class Count(nn.Linear):
        def forward(self, x):
            Counting.rows.append(len(x))
            return super().forward(x)

    rows = []

    def __init__(self, n_features_in=4):
        super().__init__()
        self.block = self.Count(n_features_in, 8)

    def forward(self, x):
        return self.block(x)


@pytest.mark.parametrize("make", [make_pipeline, sktransfer.make_pipeline])
@pytest.mark.parametrize("n_candidates", [2, 6])
def test_a_cached_search_runs_the_training_rows_once_a_fold_whatever_the_candidates(make, n_candidates, tmp_path):
    X, y = moons(100)
    backbone, all_rows = FromScratch("counting").build(4), np.arange(100)
    folds = [(all_rows[20:], all_rows[:20]), (all_rows[:80], all_rows[80:])]
    candidates = {"logisticregression__C": np.logspace(-2, 2, n_candidates)}

    def count(n_rows):
        return Counting.rows.count(n_rows)

    for memory, passes in ((None, 2 * n_candidates), (str(tmp_path), 2), (str(tmp_path), 0)):
        pipe = make(FeatureExtractor(backbone), LogisticRegression(), memory=memory)
        Counting.rows.clear()
        GridSearchCV(pipe, candidates, cv=folds, refit=False).fit(X, y)
        assert count(80) == passes
        assert count(20) == 2 * n_candidates  # scikit-learn keeps what fits return, not what scoring transforms


def test_equal_parameters_have_one_hash_after_fits_in_copies_and_in_other_processes(backbone, tmp_path):
    X, _ = moons(20)
    path = save_backbone(backbone, tmp_path / "b.safetensors")
    extractor = FeatureExtractor(load_backbone(path), block="block2")
    before = joblib.hash(extractor)
    extractor.fit(X).transform(X)
    again = FeatureExtractor(load_backbone(path), block="block2")
    assert joblib.hash(clone(extractor)) == joblib.hash(again) == before
    assert joblib.hash(clone(extractor).set_params(block="block1")) != before
    code = (
        "import sys, joblib; from sktransfer import FeatureExtractor, load_backbone; "
        "print(joblib.hash(FeatureExtractor(load_backbone(sys.argv[1]), block='block2')))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == before, done.stderr


def test_parameters_set_after_a_fit_do_not_change_what_an_extractor_returns(backbone):
    X, _ = moons(20)
    extractor = FeatureExtractor(backbone).fit(X)
    before = extractor.transform(X)
    extractor.set_params(block=backbone.blocks[0], standardize=False)
    np.testing.assert_array_equal(extractor.transform(X), before)
    assert extractor.fit(X).transform(X).shape == (20, 32)
