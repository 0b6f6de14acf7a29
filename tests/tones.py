"""What the tests of estimators of windows share: tones to be told apart, a backbone trained on them, small networks."""

import numpy as np
import pytest

from sktransfer import FromScratch, TransferClassifier

SMALL = FromScratch("cnn", {"widths": (4, 8), "kernel_size": 5, "strides": 2})
ANY_CHANNELS = FromScratch("cnn", {"widths": (4, 8), "kernel_size": 5, "strides": 2, "shared_channels": True})


def signals(n_windows=60, n_channels=2, length=64, seed=0):
    """Three classes of tones in noise, float32, and their frequencies."""
    rng = np.random.default_rng(seed)
    code = np.arange(n_windows) % 3
    frequency = 0.03 + 0.1 * code
    angle = 2 * np.pi * frequency[:, None] * np.arange(length) + rng.uniform(0, 6, (n_windows, 1))
    X = np.sin(angle)[:, None, :] * np.linspace(1, 2, n_channels)[:, None] + 0.3 * rng.normal(
        size=(n_windows, n_channels, length)
    )
    return X.astype(np.float32), np.array(["inner", "normal", "outer"])[code], frequency


X, y, frequency = signals()
X.flags.writeable = False
NEW = signals(30, seed=1)[0]


@pytest.fixture(scope="module")
def backbone():
    source, labels, _ = signals(150, seed=2)
    return (
        TransferClassifier(SMALL, max_epochs=15, lr=0.01, batch_size=32, random_state=0).fit(source, labels).backbone_
    )


def answers(fitted, X):
    for method in ("predict_proba", "transform", "predict"):
        if hasattr(fitted, method):
            return getattr(fitted, method)(X)
    raise TypeError(fitted)


def assert_near(found, expected, **tolerance):
    np.testing.assert_allclose(found, expected, **{"rtol": 1e-4, "atol": 1e-5, **tolerance})
