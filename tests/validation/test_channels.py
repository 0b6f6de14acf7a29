"""Names of channels: compared at predict and transform with those of fit, and with those of a backbone."""

import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import cross_val_score

from sktransfer import (
    BaselineScaler,
    BatchedGridSearchCV,
    DataQualityWarning,
    EnvelopeSpectra,
    FeatureExtractor,
    FromScratch,
    LinearProbing,
    SlidingWindows,
    SourceClassifier,
    TransferClassifier,
    TransferRegressor,
    Windows,
    WindowScaler,
    load_backbone,
    make_pipeline,
    save_backbone,
)

NAMES = ["flow", "level", "speed"]


def frames(seed=0):
    """Recordings of two classes, which the first channel tells."""
    rng = np.random.default_rng(seed)
    found = {}
    for number in range(6):
        values = rng.normal(size=(160, 3)) * [1, 4, 0.3]
        values[:, 0] += 3 * (number % 2)
        found[number] = pd.DataFrame(values, columns=NAMES)
    return found


def cut(names=NAMES, given=None):
    given = {number: frame[list(names)] for number, frame in (given or frames()).items()}
    return SlidingWindows(16).cut(given, ["ok", "leak"] * 3)[:2]


X, y = cut()
SWAPPED = cut(NAMES[::-1])[0]
OTHER = Windows.of(X, channels=["Flow", "level", "speed"])
FITTED = {
    "classifier": lambda: TransferClassifier(max_epochs=2, random_state=0).fit(X, y),
    "regressor": lambda: TransferRegressor(max_epochs=2, random_state=0).fit(X, (y == "leak") * 1.0),
    "extractor": lambda: FeatureExtractor(load_backbone("process")).fit(X),
    "scaler": lambda: BaselineScaler(normal_label="ok").fit(X, y),
    "window scaler": lambda: WindowScaler().fit(X),
    "scaler and classifier": lambda: make_pipeline(
        BaselineScaler(normal_label="ok"), TransferClassifier(max_epochs=2, random_state=0)
    ).fit(X, y),
    "search": lambda: BatchedGridSearchCV(
        TransferClassifier(max_epochs=2, random_state=0), {"lr": [0.01, 0.001]}, cv=2
    ).fit(X, y),
    "scaler of rows": lambda: BaselineScaler().fit(pd.concat(frames().values())),
}  # fmt: skip


def answers(fitted, X):
    return np.asarray(fitted.predict(X) if hasattr(fitted, "predict") else fitted.transform(X))


@pytest.mark.parametrize("kind", FITTED)
def test_channels_in_another_order_are_an_error_and_its_remedy_gives_the_right_answers(kind):
    fitted = FITTED[kind]()
    with warnings.catch_warnings():
        warnings.simplefilter("error", DataQualityWarning)
        expected = answers(fitted, X)
        np.testing.assert_array_equal(answers(fitted, np.asarray(X)), expected)  # no names, nothing to compare
    says = (
        r"got windows of the channels \['speed', 'level', 'flow'\], but it was fitted to \['flow', 'level', 'speed'\]"
    )
    with pytest.raises(ValueError, match=says + r".*same in another order.*X.select_channels\(model.*_names_in_\)"):
        answers(fitted, SWAPPED)
    np.testing.assert_array_equal(answers(fitted, SWAPPED.select_channels(NAMES)), expected)


@pytest.mark.parametrize("kind", FITTED)
def test_channels_of_other_names_are_a_warning(kind):
    fitted = FITTED[kind]()
    says = "other names of channels than it was.*'Flow' where it had 'flow'"
    with pytest.warns(DataQualityWarning, match=says) as caught:
        found = answers(fitted, OTHER)
    count = sum("names of channels" in str(one.message) for one in caught)
    assert count == (2 if kind == "scaler and classifier" else 1)  # once a step
    np.testing.assert_array_equal(found, answers(fitted, X))


@pytest.mark.parametrize("names", [[2, 0, 1], [("a", 1), ("a", 2), ("b", 1)]])
def test_numbers_and_tuples_are_compared_as_names(names):
    fitted = WindowScaler().fit(Windows.of(X, channels=names))
    with pytest.raises(ValueError, match="the same in another order"):
        fitted.transform(Windows.of(X, channels=names[::-1]))


def test_the_names_are_part_of_a_saved_model_and_go_with_a_new_fit(tmp_path):
    fitted = FITTED["classifier"]()
    assert fitted.channel_names_in_ == tuple(NAMES)
    joblib.dump(fitted, tmp_path / "m")
    with pytest.raises(ValueError, match="another order"):
        joblib.load(tmp_path / "m").predict(SWAPPED)
    assert not hasattr(fitted.fit(np.asarray(X), y), "channel_names_in_")
    scaler = BaselineScaler().fit(X)
    assert not hasattr(scaler.fit(np.asarray(X)), "channel_names_in_")


def test_a_backbone_of_named_channels_is_not_fitted_to_another_order(tmp_path):
    source = TransferClassifier(FromScratch("cnn", {"widths": (4,)}), max_epochs=2, random_state=0).fit(X, y)
    assert source.backbone_.inputs.names == tuple(NAMES)
    save_backbone(source.backbone_, tmp_path / "b.safetensors")
    for backbone in (source.backbone_, load_backbone(tmp_path / "b.safetensors")):
        for make in (lambda b: TransferClassifier(b, strategy=LinearProbing()), FeatureExtractor):
            with pytest.raises(ValueError, match=r"its backbone 'fitted' was pretrained on \['flow'.*another order"):
                make(backbone).fit(SWAPPED, y)
            with pytest.raises(ValueError, match="another order"):
                SourceClassifier(backbone).predict(SWAPPED)
            with pytest.raises(ValueError, match=r"select_channels\(backbone.inputs.names\)"):
                make_pipeline(BaselineScaler(), make(backbone)).fit(SWAPPED, y)
            with pytest.warns(DataQualityWarning, match="than its backbone 'fitted' was pretrained on .first: 'Flow'"):
                make(backbone).fit(OTHER, y)
            with warnings.catch_warnings():
                warnings.filterwarnings("error", message=".*channels")
                make(backbone).fit(X, y)
                make(backbone).fit(np.asarray(X), y)


def test_a_network_of_any_channels_keeps_no_names():
    clf = TransferClassifier(load_backbone("process"), block="pooled", strategy=LinearProbing()).fit(X, y)
    assert clf.backbone_.inputs.names is None
    TransferClassifier(clf.backbone_, strategy=LinearProbing()).fit(SWAPPED, y)  # the network does not see the order


def test_ordinary_use_is_quiet(recwarn):
    model = make_pipeline(BaselineScaler(normal_label="ok"), FITTED["classifier"]())
    cross_val_score(model, X, y, cv=2)
    model.fit(X, y).predict(X[:5])
    assert not [one for one in recwarn.list if "channel" in str(one.message)]


ESTIMATORS = [
    BaselineScaler(),
    WindowScaler(),
    EnvelopeSpectra(),
    FeatureExtractor("process"),
    TransferClassifier("process", strategy=LinearProbing()),
]


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda one: type(one).__name__)
def test_errors_call_channels_by_their_names(estimator):
    hole = X.like(np.where(np.arange(3)[:, None] == 1, np.nan, np.asarray(X)))
    with pytest.raises(ValueError, match="NaN in channel 'level'"):
        estimator.fit(hole, y)
    estimator.fit(Windows.of(np.tile(np.asarray(X), 4), channels=NAMES, sampling_rate=1e4), y)
    ask = getattr(estimator, "transform", None) or estimator.predict
    with pytest.raises(ValueError, match="infinity in channel 'level'"):
        ask(hole.like(np.nan_to_num(hole, nan=np.inf)))
    with pytest.raises(ValueError, match="NaN in channel 1"):
        estimator.fit(np.asarray(hole), y)  # without names they are numbers


def test_warnings_call_channels_by_their_names():
    flat = X.like(np.where(np.arange(3)[:, None] == 1, 2.5, np.asarray(X)))
    with pytest.warns(DataQualityWarning, match=r"channels \['level'\] do not change within"):
        WindowScaler().fit_transform(flat)
    counter = X.like(np.asarray(X) + np.array([0, 1e9, 0])[:, None])
    with pytest.warns(DataQualityWarning, match=r"channels \['level'\] lie so far from zero"):
        FeatureExtractor("process").fit(counter)


def test_readings_of_spectra_are_called_by_the_channels():
    long = Windows.of(np.tile(np.asarray(X), 256), sampling_rate=1e4)
    of = [EnvelopeSpectra().fit(one).get_feature_names_out() for one in (long, Windows.of(long, channels=NAMES))]
    assert [name.partition("_")[0] for name in of[0][::1667]] == ["ch0", "ch1", "ch2"]
    assert [name.partition("_")[0] for name in of[1][::1667]] == NAMES
