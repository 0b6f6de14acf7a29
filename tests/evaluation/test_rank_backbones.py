"""rank_backbones: what it ranks, how it orders, and what it says of rows that it cannot rank by."""

import warnings

import numpy as np
import pandas as pd
import pytest

import sktransfer
from sktransfer import FeatureExtractor, FromScratch, TransferClassifier, TransferRegressor, rank_backbones
from sktransfer.solvers.transferability import log_me, shrinkage_h_score


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 5))
    y = (X[:, 0] + X[:, 1] > 0).astype(int) + 2 * (X[:, 2] > 0)
    return X, y


@pytest.fixture(scope="module")
def backbones(rows):
    X, y = rows
    rng = np.random.default_rng(1)

    def pretrained(labels):
        return TransferClassifier(random_state=0, max_epochs=20).fit(X[:300], labels).backbone_

    return {"of these classes": pretrained(y[:300]), "of noise": pretrained(rng.permutation(y[:300]))}


@pytest.fixture(scope="module")
def windows():
    rng = np.random.default_rng(0)
    return rng.normal(size=(24, 3, 64)), np.arange(24) % 2


def test_the_backbone_of_the_same_classes_is_first(rows, backbones):
    X, y = rows
    found = rank_backbones(dict(reversed(backbones.items())), X[300:], y[300:])
    assert found["backbone"].tolist() == ["of these classes", "of noise"]
    for score in ("loo", "logme", "h_score"):
        assert found[score].iloc[0] > found[score].iloc[1]
    assert found["n_features"].tolist() == [256, 256]
    assert (found["milliseconds"] > 0).all()
    assert (found["remark"] == "").all()


def test_the_accuracy_is_that_of_refits_without_each_row(rows, backbones):
    """Ridge on class codes, classes of equal weight, features in deviations of the source; alpha is the best of all."""
    X, y = rows[0][300:340], rows[1][300:340]
    backbone = backbones["of these classes"]
    features = FeatureExtractor(backbone).fit_transform(X).astype(float)
    R = np.column_stack([features / 16.0, np.ones(40)])
    values, weight = np.eye(4)[y] - 0.25, (40 / 4 / np.bincount(y))[y]
    found = []
    for alpha in 10.0 ** np.arange(2.0, -3.25, -0.5):
        outputs = np.empty((40, 4))
        for i in range(40):
            of = np.arange(40) != i
            gram = (R[of] * weight[of, None]).T @ R[of] + alpha * np.eye(257)
            outputs[i] = R[i] @ np.linalg.solve(gram, (R[of] * weight[of, None]).T @ values[of])
        found.append((np.sum(weight[:, None] * (values - outputs) ** 2), outputs))
    right = min(found, key=lambda one: one[0])[1].argmax(axis=1) == y
    expected = np.mean([right[y == code].mean() for code in range(4)])
    assert rank_backbones(backbone, X, y)["loo"].item() == pytest.approx(expected)


def test_whole_groups_are_left_out(rows, backbones):
    """Copies of one row in a group: alone they give each other away, as a group they do not."""
    rng = np.random.default_rng(2)
    X = np.repeat(rng.normal(size=(12, 5)), 6, axis=0)
    y = np.repeat(rng.integers(2, size=12), 6)
    groups = np.repeat([f"run {i}" for i in range(12)], 6)
    backbone = backbones["of noise"]
    alone, grouped = rank_backbones(backbone, X, y), rank_backbones(backbone, X, y, groups=groups)
    assert alone["loo"].item() == 1.0
    assert grouped["loo"].item() < 0.9
    assert alone["logme"].item() == grouped["logme"].item()


def test_numbers_are_ranked_by_the_explained_variance(rows):
    X, _ = rows
    y = X[:, 0] - 0.5 * X[:, 1] ** 2
    given = {
        "of this output": TransferRegressor(random_state=0, max_epochs=20).fit(X[:300], y[:300]).backbone_,
        "of another": TransferRegressor(random_state=0, max_epochs=20).fit(X[:300], X[:300, 4]).backbone_,
    }
    found = rank_backbones(given, X[300:], 1000 + 5 * y[300:])
    assert found["backbone"].tolist() == ["of this output", "of another"]
    assert 0 < found["loo"].iloc[0] <= 1
    assert found["h_score"].isna().all()
    unit = rank_backbones(given, X[300:], y[300:])
    np.testing.assert_allclose(found["loo"], unit["loo"], atol=1e-9)
    two = rank_backbones(given, X[300:], np.c_[y[300:], y[300:]])
    np.testing.assert_allclose(two["loo"], unit["loo"], atol=1e-9)


def test_a_backbone_that_keeps_tags_apart_has_three_rows(windows):
    X, y = windows
    found = rank_backbones(["process"], X, y).set_index("block")
    assert set(found.index) == {"tag", "pooled", "both"}
    assert found.loc["both", "n_features"] == found.loc["tag", "n_features"] + found.loc["pooled", "n_features"]
    for block in found.index:
        one = rank_backbones("process", X, y, block=block)
        assert one["loo"].item() == found.loc[block, "loo"]
        assert FeatureExtractor("process", block=block).fit(X).transform(X).shape[1] == found.loc[block, "n_features"]
    assert rank_backbones("process", X, y, block=["tag", "pooled"])["block"].tolist() != ["both"]


def test_all_blocks_are_ranked_if_asked(rows, backbones):
    X, y = rows
    backbone = backbones["of these classes"]
    found = rank_backbones(backbone, X[300:], y[300:], block="all")
    assert set(found["block"]) == set(backbone.blocks)
    named = rank_backbones(backbone, X[300:], y[300:], block=backbone.blocks[0])
    first = found.set_index("block").loc[backbone.blocks[0]]
    assert named["loo"].item() == first["loo"]
    assert named["logme"].item() == first["logme"]


def test_features_without_statistics_of_the_source_are_taken_in_deviations_of_the_rows(rows, backbones):
    X, y = rows[0][300:], rows[1][300:]
    backbone = backbones["of noise"]
    features = FeatureExtractor(backbone, block=backbone.blocks[0]).fit_transform(X).astype(float)
    moving = features.std(axis=0) > 0
    features = (features - features.mean(axis=0)) / np.where(moving, features.std(axis=0), 1)
    found = rank_backbones(backbone, X, y, block=backbone.blocks[0])
    assert found["logme"].item() == pytest.approx(log_me(features, np.eye(4)[y]))
    assert found["h_score"].item() == pytest.approx(shrinkage_h_score(features, y))


def test_frames_of_pandas_and_polars_are_ranked_alike(rows, backbones):
    polars = pytest.importorskip("polars", reason="polars is not installed")
    X, y = rows[0][300:], rows[1][300:]
    names = [f"s{i}" for i in range(5)]
    classes = np.array(["ok", "leak", "stuck", "worn"])[y]
    expected = rank_backbones(backbones, X, y)
    given = [(pd.DataFrame(X, columns=names), pd.Series(classes)), (polars.DataFrame(X, schema=names), classes)]
    for frame, labels in given:
        pd.testing.assert_frame_equal(
            rank_backbones(backbones, frame, labels).drop(columns="milliseconds"),
            expected.drop(columns="milliseconds"),
        )


def test_one_label_a_class_is_ordered_by_logme_and_says_so(rows, backbones):
    X, y = rows
    of = [np.flatnonzero(y[300:] == code)[0] + 300 for code in range(4)]
    with pytest.warns(UserWarning, match="4 classes have one row, .* is NaN; the order is that of logme") as said:
        found = rank_backbones(dict(reversed(backbones.items())), X[of], y[of])
    assert len(said) == 1
    assert found["loo"].isna().all()
    assert found["logme"].is_monotonic_decreasing


def test_a_class_of_one_row_does_not_count(rows, backbones):
    X, y = rows[0][300:], rows[1][300:]
    of = np.r_[np.flatnonzero(y != 3), np.flatnonzero(y == 3)[:1]]
    with pytest.warns(UserWarning, match=r"1 class has one row, .*\[3\]\. Column 'loo' does not count them\. Label"):
        found = rank_backbones(backbones["of these classes"], X[of], y[of])
    assert 0.76 < found["loo"].item() <= 1  # with its recall of 0 it could not exceed 0.75
    groups = np.arange(100) % 5 + 10 * (y == 3)
    groups[y == 3] = 99
    with pytest.warns(UserWarning, match="1 class has one group"):
        rank_backbones(backbones["of these classes"], X, y, groups=groups)


def test_ordinary_use_is_quiet(rows, backbones):
    X, y = rows
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rank_backbones({**backbones, "untrained": FromScratch()}, X[300:], y[300:], groups=np.arange(100) % 10)


def test_backbones_that_do_not_take_the_rows_stand_last(rows, backbones):
    X, y = rows
    with pytest.warns(
        UserWarning, match=r"2 of 3 backbones do not take these rows.*\['process', 'tep-process'\]"
    ) as said:
        found = rank_backbones({"process": "process", "tep-process": "tep-process", **{"a": backbones["of noise"]}},
                               X[300:], y[300:])  # fmt: skip
    assert len(said) == 1
    assert found["backbone"].iloc[0] == "a"
    assert found["loo"].isna().tolist()[1:] == [True] * (len(found) - 1)
    assert "52" in found.set_index("backbone").loc["tep-process", "remark"] or "53" in found.set_index("backbone").loc[
        "tep-process", "remark"]  # fmt: skip


def test_rows_that_look_foreign_are_said_once_a_backbone(windows):
    X, y = windows
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        rank_backbones("process", 1e4 * X + 1e6, y)
    texts = [str(one.message) for one in said]
    assert texts
    assert len(texts) == len(set(texts))


def test_equal_names_are_told_apart(rows, backbones):
    X, y = rows
    found = rank_backbones([FromScratch(), *backbones.values()], X[300:], y[300:])
    assert len(set(found["backbone"])) == 3
    assert "from scratch" in set(found["backbone"])


@pytest.mark.parametrize(
    ("changes", "error", "text"),
    [
        ({"backbones": []}, ValueError, "got no backbones"),
        ({"backbones": [TransferClassifier()]}, TypeError, r"pass estimator.backbone_"),
        ({"y": np.zeros(100, dtype=int)}, ValueError, "y has one class"),
        ({"y": np.full(100, 0.5)}, ValueError, "output with a single value"),
        ({"y": np.arange(99)}, ValueError, "inconsistent numbers of samples"),
        ({"groups": np.zeros(100)}, ValueError, "all rows are of one group"),
        ({"groups": np.zeros(99)}, ValueError, r"groups has shape \(99,\)"),
        ({"groups": [None, *range(99)]}, ValueError, r"names none in rows \[0\]"),
        ({"task": "ranking"}, ValueError, "'classification' or 'regression'"),
        ({"block": "gate"}, ValueError, "no backbone gives features of these rows.*has no block 'gate'"),
        ({"X": np.full((100, 5), np.nan)}, ValueError, "NaN"),
        ({"X": np.zeros((100, 7))}, ValueError, "no backbone gives features"),
    ],
)
def test_what_cannot_be_ranked_is_an_error(rows, backbones, changes, error, text):
    given = {"backbones": backbones, "X": rows[0][300:], "y": rows[1][300:]} | changes
    with pytest.raises(error, match=text):
        rank_backbones(**given)


def test_whole_numbers_may_be_numbers_to_predict(rows, backbones):
    X = rows[0][300:]
    y = np.round(10 * X[:, 0]).astype(int)
    found = rank_backbones(backbones["of noise"], X, y, task="regression")
    assert found["h_score"].isna().all()
    assert found["loo"].item() <= 1


def test_nothing_is_left_behind(rows, backbones):
    """The caller's rows and torch's generator are as they were."""
    import torch

    X, y = rows[0][300:].copy(), rows[1][300:].copy()
    state = torch.get_rng_state()
    first = rank_backbones({**backbones, "untrained": FromScratch()}, X, y)
    assert torch.equal(state, torch.get_rng_state())
    np.testing.assert_array_equal(X, rows[0][300:])
    again = sktransfer.rank_backbones({**backbones, "untrained": FromScratch()}, X, y)
    pd.testing.assert_frame_equal(first.drop(columns="milliseconds"), again.drop(columns="milliseconds"))
