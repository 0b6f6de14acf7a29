"""Acceptance, section G: running it. The name of a test begins with its id."""

import gc
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.exceptions import FitFailedWarning, NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.utils.validation import check_is_fitted
from skorch.callbacks import EarlyStopping

from sktransfer import BatchedGridSearchCV, FineTuning, LinearProbing, MLPHead, TransferClassifier, save
from tests.acceptance.cases import X, quick, y
from tests.helpers import small_backbone

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def backbone():
    return small_backbone(max_epochs=5)


@pytest.fixture
def tuned(backbone):
    head = MLPHead((8,), dropout=0.3)
    return TransferClassifier(backbone, head=head, strategy=FineTuning(1), max_epochs=3, lr=0.01, random_state=0)


def fit_and_ask(model):
    return model.fit(X, y).predict_proba(X)


@pytest.mark.parametrize("backend", [pytest.param("loky", marks=pytest.mark.slow), "multiprocessing", "threading"])
def test_G1_G2_workers_of_every_kind_give_the_same_model(tuned, backend):
    expected = fit_and_ask(clone(tuned))
    for found in Parallel(n_jobs=2, backend=backend)(delayed(fit_and_ask)(clone(tuned)) for _ in range(3)):
        np.testing.assert_array_equal(found, expected)


def test_G1_another_process_gives_the_same_model(tuned, tmp_path):
    joblib.dump((tuned, X, y), tmp_path / "task.joblib")
    code = (
        "import sys, joblib; model, X, y = joblib.load(sys.argv[1]); "
        "joblib.dump(model.fit(X, y).predict_proba(X), sys.argv[2])"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path / "task.joblib", tmp_path / "out"], check=True, cwd=ROOT)
    np.testing.assert_array_equal(joblib.load(tmp_path / "out"), fit_and_ask(tuned))


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_G3_generators_and_threads_are_as_found(tuned, n_jobs):
    torch.set_num_threads(2)
    try:
        np.random.seed(3)
        torch.manual_seed(3)
        before = pickle.dumps(np.random.get_state()), torch.random.get_rng_state(), torch.get_num_threads()
        model = tuned.set_params(n_jobs=n_jobs).fit(X, y)
        model.predict(X)
        BatchedGridSearchCV(tuned, {"lr": [0.01, 0.02]}, cv=2).fit(X, y)
        after = pickle.dumps(np.random.get_state()), torch.random.get_rng_state(), torch.get_num_threads()
    finally:
        torch.set_num_threads(1)
    assert before[0] == after[0]
    assert torch.equal(before[1], after[1])
    assert before[2] == after[2] == 2


def test_G4_eight_threads_predict_alike(tuned):
    model = tuned.fit(X, y)
    expected = model.predict_proba(X)
    loaded = pickle.loads(pickle.dumps(model))  # nothing of it is built yet
    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(lambda _: loaded.predict_proba(X), range(64)):
            np.testing.assert_array_equal(found, expected)


def test_G5_a_fit_of_a_clone_does_not_touch_predictions(tuned):
    model = tuned.fit(X, y)
    expected, stop, differing = model.predict_proba(X), threading.Event(), []

    def predict():
        while not stop.is_set():
            differing.append(float(np.abs(model.predict_proba(X) - expected).max()))

    threads = [threading.Thread(target=predict) for _ in range(3)]
    for thread in threads:
        thread.start()
    for seed in range(3):
        clone(tuned).set_params(random_state=seed).fit(X, y)
    stop.set()
    for thread in threads:
        thread.join()
    assert len(differing) > 3
    assert max(differing) == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")
@pytest.mark.timeout(60)
def test_G6_predict_works_in_a_fork_after_torch_was_used(tuned):
    code = """
import os, sys, joblib, torch
model, X, y = joblib.load(sys.argv[1])
torch.randn(300, 300) @ torch.randn(300, 300)   # OpenMP has threads now
model.fit(X, y); model.predict(X)
child = os.fork()
if child == 0:
    model.predict(X); os._exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    path = Path(os.environ.get("TMPDIR", "/tmp")) / f"fork-{os.getpid()}.joblib"
    joblib.dump((tuned, X, y), path)
    try:
        done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, timeout=50, cwd=ROOT)
    finally:
        path.unlink()
    assert done.stdout.split() == ["7"], done.stderr


def threads_inside(model, rows, labels):
    """Torch threads while a fit trains, seen by its loss."""
    counts = []

    class Watch(FineTuning):
        def penalty(self, weights, source):
            counts.append(torch.get_num_threads())
            return 0.0

    model.set_params(strategy=Watch(1)).fit(rows, labels)
    return set(counts)


def test_G7_a_fit_takes_one_thread_here_and_in_workers(tuned):
    torch.set_num_threads(2)
    try:
        assert threads_inside(clone(tuned), X, y) == {1}
        assert threads_inside(clone(tuned).set_params(n_jobs=2), X, y) == {2}
    finally:
        torch.set_num_threads(1)
    inside = Parallel(n_jobs=2, backend="threading")(delayed(threads_inside)(clone(tuned), X, y) for _ in range(2))
    assert inside == [{1}, {1}]


MEMORY = """
import gc, resource, sys, joblib
from pathlib import Path
model, X, y = joblib.load(sys.argv[1])
resident = lambda: int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20
def work(n_predicts, n_fits):
    for _ in range(n_fits): model.fit(X, y)
    for _ in range(n_predicts): model.predict_proba(X[:1])
    gc.collect()
work(1000, 25)
before = resident()
work(10_000, 50)
print(resident() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="this system does not tell resident memory")
def test_G8_memory_is_flat_over_ten_thousand_predicts_and_fifty_fits(tuned, tmp_path):
    joblib.dump((tuned, X, y), tmp_path / "task.joblib")
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, tmp_path / "task.joblib"], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 5  # MiB


@pytest.mark.usefixtures("listens")
@pytest.mark.parametrize("search", [False, True])
def test_G9_ctrl_c_is_raised_and_leaves_nothing_fitted(search):
    model = quick(max_epochs=1_000_000)
    model = BatchedGridSearchCV(model, {"lr": [0.01, 0.02]}, cv=2) if search else model
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            model.fit(X, y)
    finally:
        timer.join()
    with pytest.raises(NotFittedError):
        check_is_fitted(model)


@pytest.mark.timeout(120)
def test_G10_a_job_that_is_terminated_leaves_no_partial_output(tuned, tmp_path):
    save(tuned.fit(pd.DataFrame(X, columns=list("abcd")), y), tmp_path / "model.skops")
    (tmp_path / "rows.csv").write_text("a,b,c,d\n" + "1,2,3,4\n" * 1_000_000)  # some seconds
    given = ["score", "model.skops", "rows.csv", "--out", "scored.csv"]
    command = [sys.executable, "-c", "from sktransfer.cli.main import run; run()", *given]
    path = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=tmp_path, env=path, stderr=subprocess.DEVNULL) as job:
        while not any(found.suffix == ".tmp" for found in tmp_path.iterdir()):  # until it writes
            assert job.poll() is None
            time.sleep(0.01)
        job.terminate()
        assert job.wait(60) == 143
    assert sorted(found.name for found in tmp_path.iterdir()) == ["model.skops", "rows.csv"]


def test_G11_early_stop_counts_its_epochs_and_restores_the_best(tuned):
    stop = EarlyStopping(monitor="train_loss", patience=2, threshold=10.0, load_best=True)
    model = tuned.set_params(callbacks=[stop], max_epochs=50).fit(X, y)
    assert model.n_iter_ == len(model.history_) == 3


@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite")
@pytest.mark.parametrize("kind", [GridSearchCV, BatchedGridSearchCV])
def test_G12_one_bad_candidate_fails_alone(tuned, kind):
    alone = kind(tuned, {"lr": [0.01]}, cv=2, refit=False).fit(X, y)
    with pytest.warns(FitFailedWarning, match="2 fits failed"):
        search = kind(tuned, {"lr": [0.01, -1.0]}, cv=2).fit(X, y)
    scores = search.cv_results_["mean_test_score"]
    assert scores[0] == alone.cv_results_["mean_test_score"][0]
    assert np.isnan(scores[1])
    assert search.best_params_ == {"lr": 0.01}


def test_a_probed_estimator_is_as_safe(backbone):
    model = TransferClassifier(backbone, strategy=LinearProbing()).fit(X, y)
    with ThreadPoolExecutor(4) as pool:
        fits = list(pool.map(lambda _: fit_and_ask(clone(model)), range(8)))
    gc.collect()
    for found in fits:
        np.testing.assert_array_equal(found, fits[0])
