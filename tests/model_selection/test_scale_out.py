"""Searches on processes, threads and dask give the scores of one process, to the last bit."""

import pickle

import joblib
import numpy as np
import pytest
import torch
from joblib import parallel_config
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from sktransfer import (
    BatchedGridSearchCV,
    FineTuning,
    FromScratch,
    LinearProbing,
    TransferClassifier,
    load_backbone,
    save_backbone,
)
from tests.helpers import moons, small_backbone

GRID = {"lr": [0.01, 0.02]}


@pytest.fixture(scope="module")
def rows():
    return moons(90, seed=3)


@pytest.fixture(scope="module")
def backbone():
    return small_backbone(max_epochs=5)


@pytest.fixture(scope="module")
def searches(backbone):
    tuned = TransferClassifier(backbone, strategy=FineTuning(1), max_epochs=3, random_state=0)
    scratch = TransferClassifier(FromScratch(arguments={"hidden_layer_sizes": (8,)}), max_epochs=3, random_state=0)
    alphas = {"strategy__alpha": [0.01, "auto"]}
    return [
        GridSearchCV(tuned, GRID, cv=2),
        GridSearchCV(scratch, GRID, cv=2),
        GridSearchCV(TransferClassifier(backbone, strategy=LinearProbing()), alphas, cv=2),
        BatchedGridSearchCV(tuned, GRID, cv=2),
    ]


def scores(search, X, y, n_jobs=None):
    found = clone(search).set_params(n_jobs=n_jobs).fit(X, y).cv_results_
    return np.stack([found["split0_test_score"], found["split1_test_score"]])


def check_same(searches, X, y):
    for search in searches:
        with parallel_config(backend="sequential"):
            expected = scores(search, X, y)
        np.testing.assert_array_equal(scores(search, X, y, n_jobs=2), expected)


def threads_of(_):
    return torch.get_num_threads()


def threads_inside(model, X, y):
    """Torch threads while a fit runs, asked by a callback."""
    from skorch.callbacks import Callback

    class Ask(Callback):
        seen = None

        def on_epoch_begin(self, net, **kwargs):
            self.seen = torch.get_num_threads()

    ask = Ask()
    model.set_params(callbacks=[ask]).fit(X, y)
    return ask.seen


def test_G1_G2_threads_score_as_one_process(searches, rows):
    with parallel_config(backend="threading"):
        check_same(searches, *rows)


@pytest.mark.slow
def test_G1_G2_G7_processes_of_loky_score_as_one_process(searches, rows):
    with parallel_config(backend="loky", n_jobs=2):
        check_same(searches, *rows)
        assert set(joblib.Parallel()(joblib.delayed(threads_inside)(tuned(searches), *rows) for _ in range(2))) == {1}


def tuned(searches):
    return clone(searches[0].estimator)


@pytest.mark.slow
@pytest.mark.parametrize(("n_workers", "threads"), [(2, 1), (1, 2)])
def test_G1_G2_G7_dask_scores_as_one_process(searches, rows, n_workers, threads):
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=n_workers, threads_per_worker=threads, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
        parallel_config(backend="dask", wait_for_workers_timeout=60),
    ):
        check_same(searches, *rows)
        inside = client.gather([client.submit(threads_inside, tuned(searches), *rows, pure=False) for _ in range(2)])
        assert set(inside) == {1}


def test_a_shipped_or_saved_network_travels_by_name_and_a_backbone_with_its_weights(backbone, tmp_path):
    path = save_backbone(backbone, tmp_path / "pump")
    by_value, by_name = (len(pickle.dumps(TransferClassifier(one))) for one in (backbone, str(path)))
    assert by_value > backbone.nbytes
    assert by_name < 2_000 < backbone.nbytes
    many = pickle.dumps([TransferClassifier(backbone, lr=lr) for lr in (0.01, 0.02, 0.03)])
    assert len(many) < by_value + 3_000  # one task with several candidates holds the network once
    X, y = moons(60, 1)
    first, second = (
        TransferClassifier(one, strategy=LinearProbing()).fit(X, y).predict_proba(X)
        for one in (load_backbone(path), str(path))
    )
    np.testing.assert_array_equal(first, second)
