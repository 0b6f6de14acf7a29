"""What the acceptance tests share: a quick classifier, pipelines around it, and rows with something wrong in them."""

import numpy as np
from sklearn.pipeline import make_pipeline

from sktransfer import BaselineScaler, FeatureExtractor, FromScratch, TransferClassifier
from tests.helpers import moons

X, y = moons(80)
X.flags.writeable = False


def quick(**changes):
    """A small network, trained for a few epochs."""
    recipe = FromScratch(arguments={"hidden_layer_sizes": (16, 16)})
    parameters = {"max_epochs": 5, "lr": 0.01, "batch_size": 32, "random_state": 0} | changes
    return TransferClassifier(parameters.pop("backbone", recipe), **parameters)


def scaled(classifier=None, **changes):
    """The pipeline that the documentation recommends."""
    return make_pipeline(BaselineScaler(normal_label="normal", **changes), classifier or quick())


ESTIMATORS = [quick(), scaled(), BaselineScaler(), FeatureExtractor()]


def with_cell(value, row=3, column=2):
    """A copy of `X` with another value in one cell."""
    changed = X.copy()
    changed[row, column] = value
    return changed


def with_column(values, column=2):
    """A copy of `X` with another column."""
    changed = X.copy()
    changed[:, column] = values
    return changed


def probabilities(model, rows=X, labels=y, new_rows=None):
    """Fit, predict, and check what holds of all probabilities."""
    result = model.fit(rows, labels).predict_proba(rows if new_rows is None else new_rows)
    assert np.isfinite(result).all()
    np.testing.assert_allclose(result.sum(axis=1), 1.0, atol=1e-6)
    return result
