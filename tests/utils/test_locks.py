"""A fork or a signal finds no lock that nobody will release."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import joblib
import pytest

from sktransfer import LinearProbing, TransferClassifier
from sktransfer.utils.locks import ForkableLock
from tests.helpers import moons, small_backbone

ROOT = Path(__file__).resolve().parents[2]
forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
quiet = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")

_CHILD = """
import os, signal, sys, threading, warnings
warnings.simplefilter("ignore")
def forked(job, seconds=20):
    '''Exit code of a child that does `job`; 14: it was still at it.'''
    child = os.fork()
    if child == 0:
        signal.alarm(seconds)
        try:
            os._exit(0 if job() else 3)
        except BaseException as error:
            os.write(2, repr(error).encode())
            os._exit(4)
    return abs(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A fitted classifier and more rows than are computed without a cap on the threads."""
    X, y = moons(100, seed=1)
    model = TransferClassifier(small_backbone(max_epochs=2), strategy=LinearProbing(), random_state=0).fit(X, y)
    path = tmp_path_factory.mktemp("model") / "model.joblib"
    joblib.dump((model, X, model.predict_proba(X)), path)
    return path


def run(code, *arguments, threads="2"):
    """What `code` prints in a process of its own, in which torch and BLAS have several threads."""
    environment = {**os.environ, "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
    done = subprocess.run(
        [sys.executable, "-c", _CHILD + code, *map(str, arguments)],
        capture_output=True, text=True, timeout=100, cwd=ROOT, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.slow
@forks
@pytest.mark.timeout(120)
def test_four_hundred_forks_while_another_thread_predicts(stored):
    code = """
import joblib, numpy as np
model, X, expected = joblib.load(sys.argv[1])
stop = threading.Event()
def predict():
    while not stop.is_set():
        model.predict_proba(X)
sys.setswitchinterval(0.0005)   # the thread that forks need not wait for its turn
thread = threading.Thread(target=predict)
thread.start()
ends = [forked(lambda: np.array_equal(model.predict_proba(X), expected), seconds=10) for _ in range(400)]
stop.set(); thread.join()
print(len(ends), *sorted(set(ends)))
"""
    assert run(code, stored) == ["400", "0"]


@forks
@pytest.mark.timeout(120)
def test_a_child_computes_after_torch_has_used_threads():
    code = """
import numpy as np, torch
from sktransfer import FeatureExtractor, TransferClassifier, Windows, load_backbone
torch.set_num_threads(2)
large = torch.randn(800, 800)
large @ large, torch.randn(2_000_000).exp()   # OpenMP has threads now, which no child will have
X = np.random.default_rng(0).normal(size=(200, 4))
y = np.where(X[:, 0] > 0, "leak", "normal")
windows = Windows.of(X[:160].astype(np.float32).reshape(2, 1, -1).repeat(20, 2), sampling_rate=12_000)
model = TransferClassifier(max_epochs=1, random_state=0).fit(X, y)
expected = model.predict_proba(X)
jobs = [
    lambda: np.allclose(model.set_params(n_jobs=2).fit(X, y).predict_proba(X), expected, atol=1e-5),
    lambda: np.allclose(model.set_params(n_jobs=-1).fit(X, y).predict_proba(X), expected, atol=1e-5),
    lambda: FeatureExtractor("vibration", n_jobs=2).fit_transform(windows).shape == (2, 238),
    lambda: load_backbone("process").n_features_out == 128,
    lambda: bool(torch.isfinite(large @ large).all()),
]
print(*[forked(job) for job in jobs], torch.get_num_threads())
"""
    assert run(code) == ["0"] * 5 + ["2"]


@forks
def test_blas_has_its_threads_back_in_a_child_of_a_thread_that_predicts():
    code = """
import numpy
from threadpoolctl import threadpool_info
from sktransfer.utils.threads import capped_threads
def blas(): return {lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"}
before = blas()
inside, leave = threading.Event(), threading.Event()
def hold():
    with capped_threads(1):
        inside.set(); leave.wait(20)
thread = threading.Thread(target=hold); thread.start(); inside.wait(20)
def same():
    first = blas()
    with capped_threads(1): capped = blas()
    return (first, capped, blas()) == (before, {1}, before)
print(forked(same))
with capped_threads(1):
    print(forked(lambda: blas() == {1}))   # the block is the child's own
leave.set(); thread.join()
print(blas() == before)
"""
    assert run(code) == ["0", "0", "True"]


@forks
def test_torch_s_generator_is_not_left_in_a_foreign_state_in_a_child():
    code = """
import time, torch
from sktransfer.utils.random import build_seeded
torch.manual_seed(5)
expected = torch.random.get_rng_state().clone()
building = threading.Event()
def build():
    building.set(); time.sleep(0.3)
thread = threading.Thread(target=lambda: build_seeded(build, 1)); thread.start(); building.wait(20)
print(forked(lambda: bool(torch.equal(torch.random.get_rng_state(), expected))))
thread.join()
"""
    assert run(code) == ["0"]


@pytest.mark.skipif(not hasattr(__import__("signal"), "setitimer"), reason="this system has no timers")
@pytest.mark.timeout(120)
def test_a_signal_handler_may_predict(stored):
    code = """
import joblib, numpy as np
from threadpoolctl import threadpool_info
model, X, expected = joblib.load(sys.argv[1])
def blas(): return {lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"}
before, calls = blas(), []
def handler(number, frame):
    calls.append(np.array_equal(model.predict_proba(X), expected))
signal.signal(signal.SIGALRM, handler)
model.predict_proba(X)
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.002)
while len(calls) < 400: model.predict_proba(X)
signal.setitimer(signal.ITIMER_REAL, 0)
print(all(calls), blas() == before)
"""
    assert run(code, stored) == ["True", "True"]


def test_a_handler_that_interrupts_the_count_leaves_it_as_it_was():
    """The lines that count are interrupted at each of their steps, by a trace in place of a signal."""
    code = """
import numpy
from threadpoolctl import threadpool_info
from sktransfer.utils import threads
def blas(): return {lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"}
with threads.capped_threads(1): pass
before, seen, inside = blas(), set(), False
def trace(frame, event, argument):
    global inside
    if frame.f_code.co_name in ("_enter", "_leave") and frame.f_code.co_filename == threads.__file__:
        if event == "line" and not inside:
            inside = True
            seen.add((frame.f_code.co_name, frame.f_lineno))
            with threads.capped_threads(1): pass
            inside = False
        return trace
sys.settrace(trace)
for _ in range(3):
    with threads.capped_threads(1): pass
sys.settrace(None)
print(blas() == before, threads._n_inside, threads._blas, len(seen) > 10)
"""
    assert run(code) == ["True", "0", "None", "True"]


def test_a_lock_excludes_other_threads_and_lets_its_own_in_again():
    lock, order = ForkableLock(), []
    with lock, lock:
        assert lock.is_held_here()
        thread = threading.Thread(target=lambda: lock.__enter__() and order.append(lock.is_held_here()))
        thread.start()
        thread.join(0.1)
        assert order == []
    thread.join(10)
    assert order == [True]
    assert not lock.is_held_here()


@forks
@quiet
def test_a_lock_that_the_forking_thread_holds_stays_held_in_the_child():
    code = """
from sktransfer.utils.locks import ForkableLock
lock = ForkableLock()
def job():
    other = []
    thread = threading.Thread(target=lambda: other.append(lock._lock.acquire(blocking=False)))
    thread.start(); thread.join()
    return lock.is_held_here() and other == [False]
with lock:
    print(forked(job))
"""
    assert run(code) == ["0"]
