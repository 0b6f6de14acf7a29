"""Small fitted pipelines for the tests of ONNX files. What imports it is skipped where the extra is missing."""

import functools

import numpy as np
import pytest

from sktransfer import BaselineScaler, TransferClassifier, TransferRegressor, make_pipeline

WHY = "pip install sktransfer[onnx]"
pytest.importorskip("skl2onnx", reason=WHY)
onnxruntime = pytest.importorskip("onnxruntime", reason=WHY)

OFFSET = 1e7


@functools.cache
def rows(n_rows=240, n_columns=4, seed=0):
    """Rows at an offset of 1e7 with a spread of 3, and their labels as text."""
    X = np.random.default_rng(seed).normal(OFFSET, 3.0, size=(n_rows, n_columns))
    return X, np.where(X[:, 0] > OFFSET + 2, "leak", np.where(X[:, 1] > OFFSET + 2, "stuck", "normal"))


@functools.cache
def windows(n_windows=24, n_channels=2, length=48, seed=0):
    X = np.random.default_rng(seed).normal(5.0, 2.0, size=(n_windows, n_channels, length))
    X[::2, 0, length // 2 :] += 4.0
    return X, np.where(np.arange(n_windows) % 2 == 0, "step", "normal")


@functools.cache
def classifier(missing="impute"):
    """A scaler that imputes and a network from scratch, with three classes as text."""
    X, y = rows()
    scaler = BaselineScaler(normal_label="normal", missing=missing)
    return make_pipeline(scaler, TransferClassifier(max_epochs=4, random_state=0)).fit(X, y)


@functools.cache
def regressor():
    X, _ = rows()
    return make_pipeline(BaselineScaler(), TransferRegressor(max_epochs=4, random_state=0)).fit(X, X[:, 0] - OFFSET)


def far_rows():
    """Rows in range, far outside it, and on another offset."""
    X, _ = rows()
    far = X[:60] + np.where(np.arange(60)[:, None] % 4 == np.arange(4), 1.0, 0.0) * np.geomspace(1, 1e6, 60)[:, None]
    return np.concatenate([X, far, X[:20] + 1e7])


def run(path_or_bytes, X):
    """Outputs of onnxruntime itself, without any check of ours."""
    given = path_or_bytes if isinstance(path_or_bytes, bytes) else str(path_or_bytes)
    session = onnxruntime.InferenceSession(given, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: X})
