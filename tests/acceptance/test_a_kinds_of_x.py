"""Acceptance, section A: shape and kind of X in fit (A10 to A15, A17 to A26). The name of a test begins with its id."""

import datetime
import tracemalloc
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.sparse import csr_array

from sktransfer import BaselineScaler, FromScratch, TransferClassifier
from tests.acceptance.cases import ESTIMATORS, X, probabilities, quick, scaled, y
from tests.helpers import moons

FRAME = pd.DataFrame(X, columns=["flow", "pressure", "speed", "load"])


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize(("rows", "what"), [(X[:0], r"0 sample\(s\)"), (X[:, :0], r"0 feature\(s\)")])
def test_A10_no_rows_or_columns_is_an_error(estimator, rows, what):
    with pytest.raises(ValueError, match=f"Found array with {what}.*minimum of 1 is required"):
        estimator.fit(rows, y[: len(rows)])


def test_A11_one_row_states_the_least_number():
    with pytest.raises(ValueError, match="at least 2 rows"):
        quick().fit(X[:1], y[:1])


def test_A12_two_rows_of_two_classes_are_fitted_deterministically():
    pair = [int(np.argmax(y == "normal")), int(np.argmax(y == "leak"))]
    first, second = (probabilities(quick(), X[pair], y[pair]) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("estimator", [quick(), BaselineScaler()])
def test_A13_rows_of_other_dimensions_say_what_to_do(estimator):
    with pytest.raises(ValueError, match=r"Expected 2D array, got 1D array(.|\n)*Reshape"):
        estimator.fit(X[:, 0], y)
    if isinstance(estimator, BaselineScaler):
        return  # takes windows, too
    with pytest.raises(ValueError, match=r"array with dim 3.*window"):
        estimator.fit(X[:, :, None].repeat(5, axis=2), y)


def test_A13_windows_for_rows_and_rows_for_windows_are_told_of_the_window_transformers():
    windows = X[:, :, None].repeat(16, axis=2)
    with pytest.raises(ValueError, match=r"windows of shape \(80, 4, 16\).*rows of a table.*LaggedWindows"):
        quick().fit(windows, y)
    with pytest.raises(ValueError, match=r"shape \(80, 4\).*takes windows.*SlidingWindows"):
        quick(backbone=FromScratch("cnn")).fit(X, y)
    with pytest.raises(ValueError, match=r"shape \(80,\).*takes windows.*SlidingWindows"):
        quick(backbone=FromScratch("cnn")).fit(X[:, 0], y)


@pytest.mark.parametrize("estimator", [quick(), scaled()])
def test_A14_rows_and_labels_of_different_number_are_an_error(estimator):
    with pytest.raises(ValueError, match=r"80.*79|79.*80"):
        estimator.fit(X, y[:-1])


@pytest.mark.parametrize("dtype", ["float16", "float32", "int8", "int64", "bool"])
def test_A15_number_types_give_the_numbers_of_float64(dtype):
    rows = (X > 0.3).astype(float) if dtype == "bool" else np.round(4 * X)
    if dtype.startswith("float"):
        rows /= 4  # exact in float16 as well
    expected, found = scaled(), scaled()
    reference, result = probabilities(expected, rows), probabilities(found, rows.astype(dtype))
    assert found[0].center_.dtype == found[0].scale_.dtype == np.float64
    np.testing.assert_allclose(found[0].center_, expected[0].center_, rtol=1e-14)
    np.testing.assert_allclose(result, reference, atol=1e-4)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_A17_complex_numbers_are_an_error(estimator):
    with pytest.raises(ValueError, match="Complex data not supported"):
        estimator.fit(X + 0j, y)


@pytest.mark.parametrize("rows", [X.astype(str), X.astype(str).astype(object), X.astype(bytes), X.astype(str).tolist()])
def test_A18_numbers_as_text_are_an_error(rows):
    with pytest.raises(ValueError, match=r"numbers as text: row 0, column 'x0' holds '0\.125.*to_numeric"):
        quick().fit(rows, y)


@pytest.mark.parametrize(
    ("text", "mend"), [("1,5", "decimal=','"), ("1.234,5", "decimal=','"), ("Bad Input", "na_values")]
)
@pytest.mark.parametrize("kind", ["frame", "object", "list"])
def test_A19_text_among_numbers_names_row_column_and_text(text, mend, kind):
    cells = FRAME.astype(object)
    cells.iloc[7, 2] = text
    rows = {"frame": cells, "object": cells.to_numpy(), "list": cells.to_numpy().tolist()}[kind]
    name = "speed" if kind == "frame" else "x2"
    with pytest.raises(ValueError, match=f"row 7, column '{name}' holds '{text}'. .*{mend}"):
        quick().fit(rows, y)


TIMES = pd.date_range("2024-01-01", periods=80, freq="h")


@pytest.mark.parametrize(
    "column",
    [TIMES, TIMES.tz_localize("UTC"), TIMES - TIMES[0], TIMES.astype(object), [datetime.date(2024, 1, 1)] * 80],
    ids=["datetime", "zone", "timedelta", "object", "date"],
)
def test_A20_time_column_says_drop_or_encode(column):
    with pytest.raises(ValueError, match=r"time column 't'. Drop or encode"):
        quick().fit(FRAME.assign(t=column), y)


@pytest.mark.parametrize("column", ["pump", pd.Categorical(["a", "b"] * 40)], ids=["text", "category"])
def test_A20_text_column_says_drop_or_encode(column):
    with pytest.raises(ValueError, match=r"row 0, column 't' holds .* Drop or encode"):
        quick().fit(FRAME.assign(t=column), y)


def test_A20_time_array_and_polars_time_column_are_errors():
    for unit in ("s", "ns"):
        with pytest.raises(ValueError, match=r"time column 'x0'. Drop or encode"):
            quick().fit(X.astype(f"datetime64[{unit}]"), y)
    polars = pytest.importorskip("polars")
    with pytest.raises(ValueError, match=r"time column 't'. Drop or encode"):
        quick().fit(polars.DataFrame({"a": X[:, 0], "t": TIMES.to_numpy()}), y)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_A21_sparse_rows_are_an_error_that_says_densify(estimator):
    with pytest.raises(ValueError, match=r"sparse X.*Densify them: X.toarray\(\)"):
        estimator.fit(csr_array(X), y)


@pytest.mark.parametrize("model", [quick(), scaled()])
@pytest.mark.parametrize("kind", ["torch", "memmap", "fortran", "strided", "reversed", "readonly"])
def test_A22_memory_layouts_give_the_same_numbers_without_a_warning(model, kind, tmp_path):
    np.save(tmp_path / "rows.npy", X)
    rows = {
        "torch": torch.tensor(X),
        "memmap": np.load(tmp_path / "rows.npy", mmap_mode="r"),
        "fortran": np.asfortranarray(X),
        "strided": X.repeat(2, axis=1)[:, ::2],
        "reversed": X[:, ::-1].copy()[:, ::-1],
        "readonly": X,
    }[kind]
    expected = probabilities(model, X.copy())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(probabilities(model, rows), expected)


@pytest.mark.parametrize("model", [quick(), scaled()])
@pytest.mark.parametrize("kind", ["Float64", "double[pyarrow]", "polars", "pyarrow"])
def test_A23_frames_of_all_kinds_give_the_numbers_of_numpy(model, kind):
    if kind in ("polars", "pyarrow"):
        package = pytest.importorskip(kind)
        columns = {name: FRAME[name].to_numpy() for name in FRAME}
        rows = package.DataFrame(columns) if kind == "polars" else package.table(columns)
    else:
        if "pyarrow" in kind:
            pytest.importorskip("pyarrow")
        rows = FRAME.astype(kind)
    expected = probabilities(model, X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(probabilities(model, rows), expected)
    fitted = model[0] if hasattr(model, "steps") else model
    assert list(fitted.feature_names_in_) == list(FRAME.columns)


@pytest.mark.parametrize("estimator", [quick(), BaselineScaler()])
def test_A24_duplicate_column_names_are_an_error_that_lists_them(estimator):
    with pytest.raises(ValueError, match=r"duplicate column names \['a', 'b'\]. Rename or drop"):
        estimator.fit(pd.DataFrame(X, columns=["a", "b", "a", "b"]), y)


@pytest.mark.parametrize("estimator", [quick(), BaselineScaler()])
def test_A25_column_names_of_mixed_types_are_a_type_error(estimator):
    with pytest.raises(TypeError, match=r"int.*str.*X.columns.astype\(str\)"):
        estimator.fit(pd.DataFrame(X, columns=["a", 1, "c", "d"]), y)


def test_A26_one_column_is_enough():
    assert probabilities(quick(), X[:, :1]).shape == (80, 3)


def test_A26_five_thousand_columns_and_few_rows_take_bounded_memory():
    narrow, labels = moons(30)
    wide = np.column_stack([narrow, np.random.default_rng(0).normal(size=(30, 4996))])
    model = TransferClassifier(FromScratch(arguments={"hidden_layer_sizes": (16,)}), max_epochs=3, random_state=0)
    tracemalloc.start()
    try:
        result = probabilities(scaled(model), wide, labels)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert result.shape == (30, 3)
    # the rows are 1.2 MB and the network 0.3 MB; anything quadratic in the columns would take 100 MB and more
    assert peak < 25e6
