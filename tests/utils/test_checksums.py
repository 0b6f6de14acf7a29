"""Bits that flip in the file of a fitted object change no answer unseen."""

import io
import pickle
import struct

import joblib
import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

import sktransfer
from sktransfer import (
    BaselineScaler,
    BatchedGridSearchCV,
    EnvelopeSpectra,
    FeatureExtractor,
    FromScratch,
    LaggedWindows,
    LinearProbing,
    ModelFileError,
    Pipeline,
    SlidingWindows,
    TransferClassifier,
    TransferRegressor,
    WindowScaler,
)
from sktransfer.utils.checksums import Checksummed, digest, seal, unseal
from tests.helpers import moons, small_backbone

N_FLIPS = 150  # for each class


def _classifier():
    X, y = moons(60, seed=1)
    frame = pd.DataFrame(X, columns=list("abcd"))
    model = TransferClassifier(small_backbone(max_epochs=2), strategy=LinearProbing(), random_state=0)
    return model.fit(frame, y), lambda m: [m.predict(frame), m.predict_proba(frame), m.backbone_.source.weight]


def _regressor():
    X, _ = moons(60, seed=1)
    model = TransferRegressor(small_backbone(max_epochs=2), strategy=LinearProbing(), random_state=0)
    return model.fit(X, X[:, :2] * 100), lambda m: [m.predict(X)]


def _baseline_scaler():
    X, _ = moons(60)
    return BaselineScaler().fit(X), lambda m: [m.transform(X), m.get_params()["clip"]]


def _window_scaler():
    windows = moons(60)[0].reshape(6, 2, 20)
    return WindowScaler("robust").fit(windows), lambda m: [m.transform(windows)]


def _lagged_windows():
    table = pd.DataFrame(moons(20)[0], columns=["p_t", "p_t-1", "T_t", "T_t-1"])
    model = LaggedWindows(sampling_rate=2.0).fit(table)
    return model, lambda m: [m.transform(table), m.channels_, m.transform(table).sampling_rate]


def _envelope_spectra():
    windows = np.random.default_rng(0).normal(size=(2, 1, 512))
    return EnvelopeSpectra().fit(windows), lambda m: [m.transform(windows)]


def _sliding_windows():
    signal = np.random.default_rng(0).normal(size=(100, 2))
    cutter = SlidingWindows(20, 10, sampling_rate=5.0)
    return cutter, lambda m: [np.asarray(m.cut([signal], from_rate=10.0)[0])]


def _extractor():
    X, _ = moons(20)
    return FeatureExtractor(small_backbone(max_epochs=2)).fit(X), lambda m: [m.transform(X)]


def _pipeline():
    X, y = moons(60)
    model = Pipeline([("scale", BaselineScaler()), ("network", TransferClassifier(_RECIPE, max_epochs=2))]).fit(X, y)
    return model, lambda m: [m.predict_proba(X), m.classes_, [name for name, _ in m.steps]]


def _search():
    X, y = moons(60)
    model = TransferClassifier(_RECIPE, max_epochs=2, random_state=0)
    search = BatchedGridSearchCV(model, {"lr": [0.001, 0.01]}, cv=3).fit(X, y)
    return search, lambda m: [m.predict_proba(X), m.cv_results_["mean_test_score"], m.best_index_, m.cv_results_["how"]]


_RECIPE = FromScratch(arguments={"hidden_layer_sizes": (8,)})
CASES = [_classifier, _regressor, _baseline_scaler, _window_scaler, _lagged_windows, _envelope_spectra,
         _sliding_windows, _extractor, _pipeline, _search]  # fmt: skip


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case.__name__[1:])
def case(request):
    return request.param()


def _dumped(model):
    stream = io.BytesIO()
    joblib.dump(model, stream)
    return stream.getvalue()


def _equal(first, second):
    return all(np.array_equal(np.asarray(a), np.asarray(b)) for a, b in zip(first, second, strict=True))


def _damaged(content):
    """Files with a bit flipped: anywhere, and, half of them, where arrays of eight numbers and more lie."""
    rng = np.random.default_rng(0)
    inside = [i for i in range(len(content)) if not content[i : i + 1].isascii()]  # mostly in the numbers
    anywhere = rng.integers(len(content), size=N_FLIPS // 2).tolist()
    for position in anywhere + rng.choice(inside, N_FLIPS - len(anywhere)).tolist():
        damaged = bytearray(content)
        damaged[position] ^= 1 << int(rng.integers(8))
        yield bytes(damaged)


@pytest.mark.filterwarnings("ignore")
def test_no_flipped_bit_changes_an_answer_unseen(case):
    model, answers = case
    content, expected = _dumped(model), answers(model)
    assert _equal(answers(joblib.load(io.BytesIO(content))), expected)
    refused = 0
    for damaged in _damaged(content):
        try:
            found = answers(joblib.load(io.BytesIO(damaged)))
        except Exception as error:
            refused += isinstance(error, ModelFileError)
        else:
            assert _equal(found, expected)
    assert refused > N_FLIPS / 10


def _flipped(model, array):
    """The file of `model` with one bit of `array` flipped."""
    content, needle = bytearray(_dumped(model)), np.ascontiguousarray(array).tobytes()
    assert bytes(content).count(needle) >= 1
    content[bytes(content).index(needle) + len(needle) - 2] ^= 4
    return io.BytesIO(bytes(content))


@pytest.mark.parametrize(
    ("case", "attribute"),
    [(_baseline_scaler, "center_"), (_baseline_scaler, "scale_"), (_regressor, "y_center_"), (_regressor, "y_scale_"),
     (_lagged_windows, "columns_")],
    ids=lambda value: getattr(value, "__name__", value),
)  # fmt: skip
def test_a_flipped_bit_in_a_fitted_array_is_named(case, attribute):
    model, _ = case()
    with pytest.raises(ModelFileError, match=f"{type(model).__name__} does not match its checksum"):
        joblib.load(_flipped(model, getattr(model, attribute)))


@pytest.mark.parametrize("part", ["source.weight", "source.feature_scale", "inputs.minimum", "inputs.maximum"])
def test_a_flipped_bit_in_what_a_backbone_knows_is_named(part):
    backbone = small_backbone(max_epochs=2)
    record, field = part.split(".")
    with pytest.raises(ModelFileError, match="Backbone does not match its checksum"):
        joblib.load(_flipped(backbone, getattr(getattr(backbone, record), field)))


@pytest.mark.parametrize("word", ["wear", "leak"])
def test_a_flipped_letter_of_a_class_is_named(word):
    model, _ = _classifier()
    content, word = _dumped(model), word.encode("utf-32-le")
    assert word in content
    for start in [i for i in range(len(content)) if content.startswith(word, i)]:
        damaged = bytearray(content)
        damaged[start + 8] ^= 1
        with pytest.raises((ModelFileError, pickle.UnpicklingError, KeyError, AttributeError)):
            joblib.load(io.BytesIO(bytes(damaged)))


def test_weights_of_another_block_in_a_file_are_seen():
    """Each array is as it was written, but two blocks of one shape have changed places."""
    X, y = moons(60)
    recipe = FromScratch(arguments={"hidden_layer_sizes": (8, 8, 8)})
    backbone = TransferClassifier(recipe, max_epochs=1, random_state=0).fit(X, y).backbone_
    state = backbone.__getstate__()
    state["weights"] = [state["weights"][i] for i in (0, 2, 1)]
    with pytest.raises(ModelFileError, match="checksum"):
        object.__new__(type(backbone)).__setstate__(state)


def test_a_file_of_an_older_version_has_no_checksum_and_loads(case):
    model, answers = case
    state = model.__getstate__()
    del state["_checksum"]
    older = object.__new__(type(model))
    older.__setstate__(state)
    assert _equal(answers(older), answers(model))


def test_another_scheme_of_checksums_is_refused_with_advice():
    with pytest.raises(ModelFileError, match="Upgrade sktransfer"):
        unseal("Anything", {"a": 1, "_checksum": "2:0"})


STATES = [{"a": 1.0}, {"a": 1}, {"a": True}, {"b": 1}, {"a": "1"}, {"a": [1]}, {"a": (1,)}, {"a": {1}}, {"a": {1: 1}},
    {"a": None}, {"a": -0.0}, {"a": 0.0}, {"a": b"1"}, {"a": np.array([1])}, {"a": np.array([1.0])},
    {"a": np.array([[1]])}, {"a": np.int64(1)}, {"a": np.array(["1"])}, {"a": np.array(["1"], dtype=object)},
    {"a": np.ma.array([1], mask=[True])}, {"a": np.ma.array([1], mask=[False])}, {"a": LinearProbing(alpha=0.5)},
    {"a": LinearProbing(alpha=0.25)}, {"a": [1, 2]}, {"a": [[1], 2]}, {"a": StandardScaler}, {"a": "a|1|b"},
    {"a": 1, "b": 2}, {"b": 2, "a": 1}]  # fmt: skip


@pytest.mark.parametrize("state", STATES, ids=str)
def test_different_states_have_different_checksums_and_equal_ones_the_same(state):
    others = [other for other in STATES if other is not state]
    assert seal(state)["_checksum"] not in {seal(other)["_checksum"] for other in others if str(other) != str(state)}
    again = pickle.loads(pickle.dumps(state))
    assert digest(again) == digest(state)
    assert unseal("Anything", pickle.loads(pickle.dumps(seal(state)))).keys() == state.keys()


def test_a_float_counts_by_its_bits():
    flipped = struct.unpack("<d", struct.pack("<Q", struct.unpack("<Q", struct.pack("<d", 0.5))[0] ^ 1))[0]
    assert digest(0.5) != digest(flipped)


def test_a_list_that_holds_itself_has_a_checksum():
    loop = [1]
    loop.append(loop)
    assert digest(loop) == digest(pickle.loads(pickle.dumps(loop)))


def test_what_is_stored_by_skops_has_the_same_checksum(case):
    model, answers = case
    stored = skops.io.dumps(model)
    loaded = skops.io.loads(stored, trusted=skops.io.get_untrusted_types(data=stored))
    assert _equal(answers(loaded), answers(model))


def test_an_estimator_of_another_package_may_change_with_its_version():
    X, y = moons(60)
    model = Pipeline([("scale", StandardScaler()), ("head", LogisticRegression())]).fit(X, y)
    state = model.__getstate__()
    state["steps"][1][1].n_iter_ = "as a newer version writes it"
    object.__new__(Pipeline).__setstate__(state)


def test_every_class_of_the_package_that_fits_is_covered():
    classes = [value for name in sktransfer.__all__ if isinstance(value := getattr(sktransfer, name), type)]
    fitting = {value for value in classes if hasattr(value, "fit") or hasattr(value, "cut")}
    assert len(fitting) >= len(CASES)
    assert [value.__name__ for value in fitting if not issubclass(value, Checksummed)] == []
