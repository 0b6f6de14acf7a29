"""Which operations on Windows keep which fields, against numbers that say where they come from."""

import copy
import pickle

import joblib
import numpy as np
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from sktransfer import DataQualityWarning, Windows

N, LENGTH = 6, 8
FIELDS = ("sampling_rate", "time", "rpm", "orders", "channels")
ALL = set(FIELDS)
MACHINE = {"rpm", "orders", "channels"}  # what does not depend on which samples there are


def marked():
    """Windows whose numbers say which sample of which channel of which window they are: 1000, 100 and 1."""
    window, channel, sample = np.indices((N, 2, LENGTH))
    return Windows.of(
        1000.0 * window + 100 * channel + sample,
        sampling_rate=50,
        time=10.0 + np.arange(N),
        rpm=600.0 + np.arange(N),
        orders=np.arange(N)[:, None] + [0.1, 0.2, 0.3, 0.4],
        channels=["flow", "level"],
    )


def other():
    """The same windows of another speed, time and machine, in which the channels have other names."""
    X = marked()
    return Windows.of(np.asarray(X), sampling_rate=50, time=X.time + 1, rpm=X.rpm + 1, channels=["a", "b"])


def check(found):
    """Every field that `found` has is that of its numbers."""
    if not isinstance(found, Windows):
        return set()
    known = {name for name in FIELDS if getattr(found, name) is not None}
    numbers = np.asarray(found, dtype=np.float64)
    if not known:
        return known
    assert found.ndim == 3
    code = np.rint(numbers).astype(int)
    np.testing.assert_array_equal(code, numbers)  # mixed samples have no field
    window, channel, sample = code // 1000, code // 100 % 10, code % 100
    if "sampling_rate" in known:
        assert found.sampling_rate == 50
        assert (np.diff(sample, axis=2) == 1).all()
        assert (np.diff(window, axis=2) == 0).all()
    if "time" in known:
        assert (sample[:, :, -1] == LENGTH - 1).all()
        np.testing.assert_array_equal(window[:, :, -1], np.repeat(found.time[:, None] - 10, found.shape[1], axis=1))
    if "rpm" in known:
        np.testing.assert_array_equal(window, np.broadcast_to(found.rpm[:, None, None] - 600, found.shape))
    if "orders" in known:
        assert found.orders.shape == (len(found), 4)
        np.testing.assert_array_equal(window, np.broadcast_to(np.floor(found.orders[:, :1, None]), found.shape))
    if "channels" in known:
        numbers_of = [["flow", "level"].index(name) for name in found.channels]
        np.testing.assert_array_equal(channel, np.broadcast_to(np.array(numbers_of)[:, None], found.shape))
    return known


def in_place(X, change):
    change(X)
    return X


def shaped(X):
    X = X.copy()
    X.shape = (2 * N, 1, LENGTH)
    return X


# What keeps a field, and which of them at least.
KEEPING = {
    "one slice": (lambda X: X[1:5], ALL),
    "steps over windows": (lambda X: X[::2], ALL),
    "windows backwards": (lambda X: X[::-1], ALL),
    "an ellipsis": (lambda X: X[...], ALL),
    "windows by number": (lambda X: X[[3, 0, 0]], ALL),
    "windows by an array and an ellipsis": (lambda X: X[np.array([3, 1]), ...], ALL),
    "windows by mask": (lambda X: X[np.arange(N) % 2 == 0], ALL),
    "no window": (lambda X: X[[]], ALL),
    "one channel": (lambda X: X[:, 1:], ALL),
    "channels backwards": (lambda X: X[:, ::-1], ALL),
    "channels by number": (lambda X: X[:, [1, 0]], ALL),
    "channels by mask": (lambda X: X[:, [False, True]], ALL),
    "channels by name": (lambda X: X.select_channels(["level", "flow"]), ALL),
    "the same channel twice": (lambda X: X[:, [0, 0]], ALL - {"channels"}),
    "the last samples": (lambda X: X[:, :, 3:], ALL),
    "the last samples behind an ellipsis": (lambda X: X[..., 3:], ALL),
    "the first samples": (lambda X: X[:, :, :5], ALL - {"time"}),
    "every second sample": (lambda X: X[:, :, ::2], MACHINE),
    "every second sample behind an ellipsis": (lambda X: X[..., ::2], MACHINE),
    "every second sample up to the last": (lambda X: X[..., 1::2], MACHINE | {"time"}),
    "samples backwards": (lambda X: X[..., ::-1], MACHINE),
    "windows and samples": (lambda X: X[[2, 1], :, ::2], MACHINE),
    "flip of windows": (lambda X: np.flip(X, 0), ALL),
    "flip of channels": (lambda X: np.flip(X, 1), ALL),
    "take of windows": (lambda X: np.take(X, [4, 1], axis=0), ALL),
    "take of channels": (lambda X: X.take([1], axis=1), ALL),
    "split": (lambda X: np.split(X, 3)[1], ALL),
    "array_split": (lambda X: np.array_split(X, 4)[2], ALL),
    "train_test_split": (lambda X: train_test_split(X, random_state=0)[0], ALL),
    "copy": (lambda X: X.copy(), ALL),
    "copy.copy": (copy.copy, ALL),
    "copy.deepcopy": (copy.deepcopy, ALL),
    "astype": (lambda X: X.astype(np.float32), ALL),
    "pickle": (lambda X: pickle.loads(pickle.dumps(X)), ALL),
    "a sum": (lambda X: X + 0, ALL),
    "a sum from the left": (lambda X: 0 + X, ALL),
    "a sum with an array": (lambda X: X + np.zeros((1, 2, 1)), ALL),
    "a difference of its own mean": (lambda X: X - X.mean(axis=2, keepdims=True) * 0, ALL),
    "a difference of other channels": (lambda X: X - 0 * X[:, :1], ALL),
    "two fields that differ": (lambda X: np.maximum(X, other()), {"sampling_rate"}),
    "a sum in place": (lambda X: in_place(X, lambda X: X.__iadd__(0)), ALL),
    "a sum into other windows": (lambda X: np.add(X[::-1], 0, out=X.copy()), ALL),
    "absolute": (abs, ALL),
    "clip": (lambda X: np.clip(X, 0, 1e9), ALL),
    "round": (lambda X: np.round(X, 1), ALL),
    "nan_to_num": (lambda X: np.nan_to_num(X), ALL),
    "modf": (lambda X: np.modf(X)[1], ALL),
    "concatenate": (lambda X: np.concatenate([X[:2], X[4:]]), ALL),
    "concatenate of a generator's list": (lambda X: np.concatenate([X[i : i + 1] for i in (5, 0, 3)]), ALL),
    "concatenate with no window": (lambda X: np.concatenate([X[:0], np.asarray(X)[:0], X]), ALL),
    "vstack": (lambda X: np.vstack([X[3:], X[:1]]), ALL),
    "append": (lambda X: np.append(X, X[:1], axis=0), ALL),
    "channels side by side": (lambda X: np.concatenate([X[:, 1:], X[:, :1]], axis=1), ALL),
}  # fmt: skip

# What else makes arrays with three axes: no field of these may be wrong, and most have none.
DROPPING = {
    "repeat": lambda X: np.repeat(X, 2, axis=0),
    "repeat once": lambda X: np.repeat(X, 1, axis=0),
    "repeat of samples": lambda X: np.repeat(X, 2, axis=2),
    "tile": lambda X: np.tile(X, (2, 1, 1)),
    "take with a mode": lambda X: np.take(X, [0, 7], axis=0, mode="wrap"),
    "roll of windows": lambda X: np.roll(X, 1, axis=0),
    "roll of channels": lambda X: np.roll(X, 1, axis=1),
    "roll of samples": lambda X: np.roll(X, 1, axis=2),
    "sort": lambda X: np.sort(-X),
    "sort of windows": lambda X: np.sort(X[::-1], axis=0),
    "sort in place": lambda X: in_place(X[::-1].copy(), lambda X: X.sort(axis=0)),
    "partition": lambda X: np.partition(X[::-1], 2, axis=0),
    "flip of samples": lambda X: np.flip(X, 2),
    "swapaxes": lambda X: X.swapaxes(0, 1),
    "swapaxes of samples": lambda X: np.swapaxes(X, 1, 2),
    "transpose": lambda X: X.T,
    "moveaxis": lambda X: np.moveaxis(X, 0, 2),
    "rot90": lambda X: np.rot90(X[:, :, :2], axes=(1, 2)),
    "reshape": lambda X: X.reshape(2 * N, 1, LENGTH),
    "reshape to as many": lambda X: X.reshape(N, 1, 2 * LENGTH),
    "shape assigned": shaped,
    "resized": lambda X: np.resize(X, (3, 2, LENGTH)),
    "a mean over reshaped windows": lambda X: X.reshape(3, 2, 2, LENGTH).mean(axis=1),
    "a mean over pairs of samples": lambda X: X.reshape(N, 2, LENGTH // 2, 2).mean(axis=3),
    "a mean over reshaped windows of as many": lambda X: X.reshape(N, 2, 2, LENGTH // 2).mean(axis=2),
    "a mean that keeps axes": lambda X: X.mean(axis=0, keepdims=True),
    "a median": lambda X: np.median(X, axis=2, keepdims=True),
    "cumsum": lambda X: np.cumsum(X, axis=0),
    "accumulate": lambda X: np.add.accumulate(X, axis=2),
    "matmul": lambda X: X @ np.eye(LENGTH)[::-1],
    "einsum": lambda X: np.einsum("ncl->nlc", X),
    "take of samples": lambda X: np.take(X, [3, 1, 0], axis=2),
    "take of flat numbers": lambda X: np.take(X, np.zeros((2, 1, 4), dtype=int)),
    "samples by number": lambda X: X[:, :, [0, 2, 3]],
    "samples by mask": lambda X: X[:, :, np.arange(LENGTH) % 3 == 0],
    "ix_": lambda X: X[np.ix_([1, 0], [1], [2, 3])],
    "a new axis": lambda X: X[None, 0],
    "a new axis in the middle": lambda X: X[:, None, :, 0],
    "windows by a table of numbers": lambda X: X[np.array([[0, 1], [1, 0]]), 0],
    "take_along_axis": lambda X: np.take_along_axis(X, np.argsort(-X, axis=0), axis=0),
    "compress": lambda X: np.compress([0, 1, 1], X, axis=0),
    "delete": lambda X: np.delete(X, 1, axis=0),
    "delete of samples": lambda X: np.delete(X, 1, axis=2),
    "insert": lambda X: np.insert(X, 0, 0.0, axis=0),
    "pad": lambda X: np.pad(X, ((0, 0), (0, 0), (1, 0))),
    "gradient": lambda X: np.gradient(X, axis=2),
    "where": lambda X: np.where(X > 3, X, X[::-1]),
    "choose": lambda X: np.choose(np.zeros(X.shape, dtype=int), [X[::-1]]),
    "permutation": lambda X: np.random.default_rng(0).permutation(X),
    "permuted": lambda X: np.random.default_rng(0).permuted(X, axis=2),
    "as strided": lambda X: np.lib.stride_tricks.as_strided(X, (N, 2, 4), (*X.strides[:2], 16), subok=True),
    "view of bytes": lambda X: X.view(np.float32),
    "empty_like": lambda X: in_place(np.empty_like(X), lambda Y: Y.fill(0)),
    "a reduction into windows": lambda X: np.add.reduce(X[None, ::-1] * 1.0, axis=0, out=X.copy()),
    "stack of one sample": lambda X: np.stack([X[:, :, 0], X[:, :, 5]], axis=2),
    "samples one after the other": lambda X: np.concatenate([X, X[:, :, :3]], axis=2),
    "dstack": lambda X: np.dstack([X, X]),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:np.concatenate:sktransfer.DataQualityWarning")
@pytest.mark.filterwarnings("ignore:Setting the shape")
@pytest.mark.parametrize("operation", [*KEEPING, *DROPPING])
def test_every_field_that_is_left_is_that_of_the_numbers(operation):
    make, kept = KEEPING.get(operation) or (DROPPING[operation], set())
    X = marked()
    found = check(make(X))
    assert found >= kept
    if operation in DROPPING:
        assert found <= MACHINE
    assert check(marked()) == ALL


def test_the_operations_are_many():
    assert len(KEEPING) + len(DROPPING) > 100


def test_what_is_unknown_in_both_agrees():
    X = Windows.of(
        marked(), rpm=[np.nan, *range(1, N)], time=np.array(["NaT", *["2026-01-01"] * (N - 1)], dtype="M8[s]")
    )
    found = X + X.copy()
    np.testing.assert_array_equal(found.rpm, X.rpm)
    np.testing.assert_array_equal(found.time, X.time)
    assert (X + Windows.of(X, rpm=[0, *range(1, N)])).rpm is None


def test_a_difference_of_two_windows_has_the_time_and_the_speed_of_neither():
    found = np.diff(marked(), axis=0)
    assert (found.sampling_rate, found.channels) == (50, ("flow", "level"))
    assert (found.time, found.rpm, found.orders) == (None, None, None)


def test_take_takes_the_numbers_that_it_takes_of_any_array():
    for indices in (np.array([True, False] * 3), np.array([[0, 1], [1, 0]]), 1, [-1]):
        for axis in (0, -2, None):
            expected = np.take(np.asarray(marked()), indices, axis=axis)
            found = np.take(marked(), indices, axis=axis)
            np.testing.assert_array_equal(found, expected)
            check(found)
    np.testing.assert_array_equal(marked().take([True, False]), [1, 0])
    with pytest.raises(IndexError):
        np.take(marked(), [N], axis=0)


def test_masks_and_single_windows_are_plain_arrays():
    X = marked()
    for found in (X[0], X[:, 0], X[0, 0, 0], X > 3, np.isnan(X), X.mean(), X.sum(axis=2), X[X > 3], np.fft.rfft(X)):
        assert not isinstance(found, Windows)


@pytest.mark.parametrize("index", [lambda X: X.ravel(), lambda X: X.reshape(N, -1), lambda X: X[None]])
def test_what_has_other_axes_knows_nothing(index):
    found = index(marked())
    assert all(getattr(found, name, None) is None for name in FIELDS)
    assert repr(found).startswith("array(")


def test_windows_that_are_joined_keep_what_is_the_same_and_say_what_is_not():
    X, plain = marked(), Windows.of(np.asarray(marked()), sampling_rate=50.01, channels=["flow", "level"])
    with pytest.warns(DataQualityWarning, match="np.concatenate: the joined windows have no time, because not all"):
        found = np.concatenate([X, plain])
    assert found.sampling_rate == 50  # clocks are no better than 0.1 %
    assert found.channels == ("flow", "level")
    np.testing.assert_array_equal(found.rpm, [*X.rpm, *[np.nan] * N])
    np.testing.assert_array_equal(found.orders, [*X.orders, *[[np.nan] * 4] * N])
    with pytest.warns(DataQualityWarning, match="have no sampling_rate, time, channels"):
        found = np.concatenate([X, np.asarray(X)])
    assert (found.sampling_rate, found.channels) == (None, None)
    with pytest.warns(DataQualityWarning, match="have no sampling_rate, channels"):
        assert np.concatenate([X, Windows.of(other(), sampling_rate=60)]).sampling_rate is None
    dates = Windows.of(X, time=np.datetime64("2026-01-01") + np.arange(N))
    with pytest.warns(DataQualityWarning, match="the joined windows have no time, because"):
        assert np.concatenate([X, dates]).rpm.tolist() == [*X.rpm, *X.rpm]
    with pytest.warns(DataQualityWarning, match="nobody knows whether the samples follow each other"):
        assert np.concatenate([X, X], axis=2).rpm is None
    with pytest.raises(ValueError, match=r"the same in another order.*X.select_channels\(\['flow', 'level'\]\)"):
        np.concatenate([X, X[:, ::-1]])


@pytest.mark.parametrize("save", [np.save, np.savez, np.savez_compressed])
def test_numpy_s_files_lose_the_fields_and_say_so(save, tmp_path, recwarn):
    X = marked()
    with pytest.warns(DataQualityWarning, match=r"loses the sampling_rate, time, rpm, orders, channels.*joblib.dump"):
        save(tmp_path / "x", X)
    save(tmp_path / "x", np.asarray(X))
    save(tmp_path / "y", Windows.of(np.asarray(X)))
    assert not recwarn.list


def test_the_documented_way_to_save_keeps_all(tmp_path):
    X = Windows.of(marked(), time=np.datetime64("2026-01-01") + np.arange(N))
    joblib.dump(X, tmp_path / "x")
    for found in (joblib.load(tmp_path / "x"), pickle.loads(pickle.dumps(X, protocol=5))):
        np.testing.assert_array_equal(found, X)
        assert found.channels == X.channels
        assert found.sampling_rate == X.sampling_rate
        for name in ("time", "rpm", "orders"):
            np.testing.assert_array_equal(getattr(found, name), getattr(X, name))
            assert getattr(found, name).dtype == getattr(X, name).dtype


CHANGES = {
    "sampling_rate": 51, "time": np.arange(N), "rpm": 600.0, "orders": [1, 2, 3, 4], "channels": ["level", "flow"],
}  # fmt: skip


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize("layout", ["C", "F", "part"])
def test_the_fields_are_part_of_joblib_s_hash(name, layout):
    X = marked()
    X = X[:, :, 2:] if layout == "part" else X.copy(order=layout)
    changed = Windows.of(X, **{name: CHANGES[name]})
    unknown = Windows.of(np.asarray(X), **{one: getattr(X, one) for one in FIELDS if one != name})
    assert joblib.hash(X) == joblib.hash(pickle.loads(pickle.dumps(X[:]))) or layout == "part"
    assert joblib.hash(X) == joblib.hash(X[:]) == joblib.hash(Windows.of(X))
    assert len({joblib.hash(one) for one in (X, changed, unknown)}) == 3
    assert pickle.loads(pickle.dumps(X.strides)) == X.strides == np.asarray(X).strides


class Speed(TransformerMixin, BaseEstimator):
    """The speed of each window."""

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def transform(self, X):
        return X.rpm[:, None]


def test_a_cached_step_answers_for_the_speed_of_these_windows(tmp_path):
    X, y = marked(), np.arange(N) // 3
    for rpm in (X.rpm, X.rpm[::-1].copy()):
        model = make_pipeline(Speed(), LogisticRegression(), memory=str(tmp_path)).fit(Windows.of(X, rpm=rpm), y)
        expected = LogisticRegression().fit(rpm[:, None], y)
        np.testing.assert_allclose(model[-1].coef_, expected.coef_)


def test_a_deep_copy_has_fields_of_its_own():
    X = marked()
    Y = copy.deepcopy(X)
    Y.rpm[:] = 0
    Y[:] = 0
    assert check(X) == ALL


def test_more_fields_are_added_to_those_that_are_there():
    X = Windows.of(marked(), rpm=1500)
    assert X.rpm.tolist() == [1500] * N
    assert (X.sampling_rate, X.channels) == (50, ("flow", "level"))
    assert Windows.of(np.asarray(X), rpm=1500).sampling_rate is None


def test_fields_that_are_set_are_checked():
    X = marked()
    X.rpm = 1500
    X.channels = ["a", "b"]
    assert (X[2:4].rpm.tolist(), X.channels, X[:, 1:].channels) == ([1500, 1500], ("a", "b"), ("b",))
    X.time = None
    assert X[:2].time is None
    for name, value in {"rpm": [1, 2], "sampling_rate": 0, "channels": ["a"], "orders": [1, 2, 3]}.items():
        with pytest.raises(ValueError, match=name):
            setattr(X, name, value)
    with pytest.raises(ValueError, match="holds no windows and takes no rpm"):
        X.ravel().rpm = 1500


@pytest.mark.parametrize(
    ("channels", "says"),
    [(["a"], "1 name for 2 channels"), (["a", "a"], "the name 'a' twice"), ("ab", "expected one name for each")],
)
def test_channels_that_are_no_names_of_all_are_refused(channels, says):
    with pytest.raises(ValueError, match=says):
        Windows.of(np.zeros((3, 2, 4)), channels=channels)


def test_channels_are_selected_by_name_only_where_there_are_names():
    with pytest.raises(ValueError, match=r"no channel 'flaw'; this array has the channels \['flow', 'level'\]"):
        marked().select_channels(["flaw"])
    with pytest.raises(ValueError, match=r"does not know the names.*Windows.of\(X, channels=...\)"):
        Windows.of(np.zeros((3, 2, 4))).select_channels(["flow"])


def test_a_transformer_s_array_has_the_channels_if_they_are_as_many():
    X = marked()
    assert X.like(np.zeros((N, 2, 3))).channels == X.channels
    assert X.like(np.zeros((N, 3, 3))).channels is None
    assert X.like(marked()[::-1]).rpm is X.rpm  # those of X, whatever the other array knows


def test_the_repr_is_one_line_that_says_what_is_known():
    assert repr(marked()) == (
        "Windows(shape=(6, 2, 8), dtype=float64, sampling_rate=50 Hz, rpm=600 to 605, time=10 to 15, orders of all "
        "windows, channels=['flow', 'level'])"
    )
    X = Windows.of(np.zeros((2, 7, 3), dtype=np.float32), rpm=[np.nan, 60.5], orders=[[np.nan] * 4, [1, 2, 3, 4]])
    assert repr(X) == "Windows(shape=(2, 7, 3), dtype=float32, sampling_rate=None, rpm=60.5, orders of 1 of 2 windows)"
    X = Windows.of(X, rpm=np.nan, channels=range(7), time=np.array(["2026-01-01", "2026-01-02"], dtype="M8[s]"))
    assert repr(X) == (
        "Windows(shape=(2, 7, 3), dtype=float32, sampling_rate=None, rpm=unknown, time=2026-01-01T00:00:00 to "
        "2026-01-02T00:00:00, orders of 1 of 2 windows, channels=[0, 1, 2, 3, 4, 5, ...])"
    )


def test_torch_and_lists_see_the_numbers_alone():
    torch = pytest.importorskip("torch")
    X = marked()
    np.testing.assert_array_equal(torch.from_numpy(X).numpy(), np.asarray(X))
    np.testing.assert_array_equal(torch.as_tensor(X[::2]), np.asarray(X)[::2])
    assert X.tolist() == np.asarray(X).tolist()
    found = joblib.Parallel(n_jobs=2, max_nbytes=10)(joblib.delayed(Windows.like)(X, X + i) for i in range(2))
    np.testing.assert_array_equal(found[1], np.asarray(X) + 1)
    np.testing.assert_array_equal(found[1].rpm, X.rpm)
