"""What the pipeline in chunks costs: microseconds for few rows, constant memory for many."""

import subprocess
import sys
import time
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from sktransfer import Pipeline
from tests.helpers import both_pipelines


def test_few_rows_cost_a_few_microseconds_more():
    class Constant(RegressorMixin, BaseEstimator):
        def fit(self, X, y=None):
            self.fitted_ = True
            return self

        def predict(self, X):
            return X

    X = np.random.default_rng(0).normal(size=(250, 4))
    pipes = both_pipelines([("one", Constant())], X, None)
    seconds = np.array([[best_of(pipe.predict, X[:1]) for pipe in pipes] for _ in range(5)])
    assert np.median(seconds[:, 1] - seconds[:, 0]) < 10e-6


def best_of(call, *args):
    times = []
    for _ in range(300):
        began = time.perf_counter()
        call(*args)
        times.append(time.perf_counter() - began)
    return min(times)


def test_memory_does_not_grow_with_the_rows(monkeypatch):
    monkeypatch.setattr(Pipeline, "chunk_rows", 1024)
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(40_000, 20)))
    theirs, ours = both_pipelines([("scaler", StandardScaler()), ("head", Ridge())], X, X[0])
    peaks = []
    for pipe in (theirs, ours):
        tracemalloc.start()
        pipe.predict(X)
        peaks.append(tracemalloc.get_traced_memory()[1] / X.to_numpy().nbytes)
        tracemalloc.stop()
    assert peaks[0] > 1.0
    assert peaks[1] < 0.15  # outputs are 0.05


@pytest.mark.slow
def test_a_million_rows_need_a_quarter_of_their_memory_at_most():
    """Of the whole process, torch's and BLAS's buffers included."""
    code = """if True:
        import resource, warnings, numpy as np, pandas as pd
        from sktransfer import BaselineScaler, FromScratch, LinearProbing, TransferClassifier, make_pipeline
        warnings.simplefilter("ignore")
        rng = np.random.default_rng(0)
        X = pd.DataFrame(rng.normal(size=(1_000_000, 50)), columns=[f"c{i}" for i in range(50)])
        y = np.resize([0, 1, 2], 300)
        source = TransferClassifier(FromScratch(arguments={"hidden_layer_sizes": [32]}), max_epochs=1).fit(X[:300], y)
        pipe = make_pipeline(BaselineScaler(), TransferClassifier(source.backbone_, strategy=LinearProbing()))
        pipe.fit(X[:300], y).predict_proba(X[:20_000])
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        pipe.predict_proba(X)
        print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / (8 * X.size))
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 0.25
