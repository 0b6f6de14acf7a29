"""Whether an ONNX graph answers as the pipeline that it was made from: on rows of the caller's, and at the edges.

::

    X of the caller --------------------------------------+--> pipeline --+
    rows within range, far out, at an offset, with NaN ---+--> graph -----+--> largest difference --> write, or refuse
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from sktransfer.io.onnx_model import OnnxModel
from sktransfer.io.onnx_steps import flat_steps

TOLERANCE = 1e-5  # of a probability, and of a value relative to its size
_N_ROWS = 48  # of each kind of edge rows
_FAR = (3.0, 30.0, 1e3, 1e6)  # deviations from the centre
_OFFSET = 1e7


class OnnxParityError(ValueError):
    """The ONNX graph of a pipeline answers otherwise than the pipeline, so no file was written."""


def edge_rows(pipeline: Any, shape: tuple[int, ...], X: np.ndarray | None) -> Iterator[tuple[str, np.ndarray]]:
    """Kinds of rows at which a conversion may go wrong, each with its name.

    Parameters
    ----------
    pipeline : estimator
        Centre and spread are those of its first step, where it has them.
    shape : tuple of int
        Of one row or window.
    X : ndarray or None
        Rows of the caller, of which centre and spread are taken where no step tells.
    """
    center, spread = _center_and_spread(pipeline, shape, X)
    random = np.random.default_rng(0)
    # rows that reach a frozen network unscaled: float32, in which it computes, cannot hold them where they are far
    is_scaled = not hasattr(flat_steps(pipeline)[0], "standardizes_by_source")
    factors = _FAR if is_scaled else _FAR[:2]
    within = center + spread * random.normal(size=(_N_ROWS, *shape))
    yield "rows within range", within
    far = []
    for place in range(_N_ROWS):  # one column after the other, and all at once
        row = within[place].copy()
        size = factors[place % len(factors)] * (-1) ** (place // len(factors))
        where: Any = slice(None) if place % 6 == 5 else place // 2 % shape[0]
        row[where] += (size * spread)[where]
        far.append(row)
    yield "rows far out of range", np.array(far)
    if is_scaled:
        yield f"rows at an offset of {_OFFSET:.0e}", within + _OFFSET
    missing = within.copy()
    missing[random.random(size=missing.shape) < 0.3] = np.nan
    yield "rows with NaN", missing


def _center_and_spread(pipeline: Any, shape: tuple[int, ...], X: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Of each column or channel, in a shape that goes with one row or window."""
    first = flat_steps(pipeline)[0]
    if hasattr(first, "healthy_baseline"):
        center, spread = (one[0] for one in first.healthy_baseline(1))
    elif hasattr(first, "mean_") and getattr(first, "scale_", None) is not None:
        center, spread = first.mean_, first.scale_
    elif X is not None:
        axes = (0, *range(2, X.ndim))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # of columns without a value
            center, spread = np.nanmean(X, axis=axes), np.nanstd(X, axis=axes)
    else:
        center, spread = np.zeros(shape[0]), np.ones(shape[0])
    center, spread = (np.asarray(one, dtype=np.float64) for one in (center, spread))
    center = np.where(np.isfinite(center), center, 0.0)
    spread = np.where(np.isfinite(spread) & (spread > 0), spread, 1.0)
    return center.reshape(-1, *(1,) * (len(shape) - 1)), spread.reshape(-1, *(1,) * (len(shape) - 1))


def compare(pipeline: Any, model: OnnxModel, groups: Iterator[tuple[str, Any, np.ndarray]]) -> dict[str, Any]:
    """Compare the outputs of both on groups of rows.

    Parameters
    ----------
    pipeline : estimator
    model : OnnxModel
        One that lets NaN pass.
    groups : iterator of (name, given, array)
        Rows as the pipeline gets them, and the same as a plain array. The first group is the caller's if its name is
        ``"X"``: an error of the pipeline's about it is raised. Other groups that the pipeline refuses are left out.

    Returns
    -------
    dict
        Of each group that was compared, the number of rows and the largest difference; and whether NaN are taken.

    Raises
    ------
    OnnxParityError
        If the two differ.
    """
    found: dict[str, Any] = {"takes_nan": False, "compared": {}}
    for name, given, array in groups:
        expected = _expected(pipeline, model.manifest_["kind"], given, strict=name == "X")
        if expected is None:
            continue
        found["takes_nan"] |= bool(np.isnan(array).any())
        difference = _difference(model, expected, array, strict=name == "X")
        if not difference <= TOLERANCE:
            raise OnnxParityError(
                f"export_onnx: on {name} ({len(array)} rows) ONNX graph and pipeline differ by {difference:.3g} "
                f"(allowed: {TOLERANCE:.0e}; 1 is another label or no number), so nothing was written. Export fewer "
                "steps to see which one differs, or keep the pipeline as a joblib file."
            )
        found["compared"][name] = [len(array), difference]
    return found


def _expected(pipeline: Any, kind: str, given: Any, strict: bool) -> tuple[Any, Any] | None:
    """Answer and probabilities of the pipeline; None if it refuses such rows."""
    with warnings.catch_warnings():
        if not strict:
            warnings.simplefilter("ignore")  # of rows that nobody measured
        try:
            if kind == "transformer":
                return pipeline.transform(given), None
            answer = pipeline.predict(given)
            return answer, pipeline.predict_proba(given) if hasattr(pipeline, "predict_proba") else None
        except ValueError:
            if strict:
                raise
            return None


def _difference(model: OnnxModel, expected: tuple[Any, Any], array: np.ndarray, strict: bool) -> float:
    """Largest difference; infinite for outputs that are not finite, 1 for another label."""
    answer, probabilities = expected
    try:
        if model.manifest_["kind"] == "transformer":
            # a feature that is near zero is the difference of numbers as large as others of its row
            return _relative(model.transform(array), np.asarray(answer), by_row=True)
        found = model.predict(array)
        if model.manifest_["kind"] == "regressor":
            return _relative(found, np.asarray(answer))
        differs, difference = np.asarray(found != np.asarray(answer)), 0.0
        if probabilities is not None:
            difference = float(np.abs(model.predict_proba(array) - probabilities).max(initial=0.0))
            if not strict:  # which of two equal classes comes first is decided by rounding
                best = np.sort(probabilities, axis=1)
                differs &= best[:, -1] - best[:, -2] > TOLERANCE
    except ValueError as error:
        if "not finite" in str(error):
            return np.inf
        raise
    return 1.0 if differs.any() else difference


def _relative(found: np.ndarray, expected: np.ndarray, by_row: bool = False) -> float:
    """Largest difference of values, relative to their own size or to the usual one, whichever is larger.

    With `by_row` relative to the largest value of the row, if that is larger.
    """
    expected = expected.astype(np.float64).reshape(len(expected), -1)
    found = np.asarray(found, dtype=np.float64).reshape(len(expected), -1)
    if found.shape != expected.shape or not len(expected):
        return 0.0 if found.shape == expected.shape else np.inf
    usual = np.maximum(np.median(np.abs(expected), axis=0), np.median(np.abs(expected)))
    size = np.maximum(np.abs(expected), np.where(usual > 0, usual, 1.0))
    size = np.maximum(size, np.abs(expected).max(axis=1, keepdims=True)) if by_row else size
    return float((np.abs(found - expected) / size).max())
