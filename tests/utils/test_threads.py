"""The threads of torch and of BLAS are capped for a call and put back after it, whatever happens in between."""

import os
import re
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from sktransfer import FeatureExtractor, FromScratch, TransferClassifier
from sktransfer.utils.threads import capped_threads
from tests.helpers import moons

RECIPE = FromScratch(arguments={"hidden_layer_sizes": (16, 8)})
FREE = str(min(2, os.cpu_count() or 1))  # OpenBLAS takes no more threads than there are cores


@pytest.fixture(autouse=True)
def three_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("n_jobs", "inside"), [(None, 1), (1, 1), (2, 2), (-1, 3)])
def test_the_count_is_set_inside_and_put_back(n_jobs, inside):
    with capped_threads(n_jobs):
        assert torch.get_num_threads() == inside
    assert torch.get_num_threads() == 3


def test_the_count_is_put_back_after_an_error():
    with pytest.raises(ZeroDivisionError), capped_threads(1):
        1 // 0  # noqa: B018
    assert torch.get_num_threads() == 3


def test_nested_calls_put_the_count_back():
    with capped_threads(2):
        with capped_threads(1):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
    assert torch.get_num_threads() == 3
    with capped_threads(2), capped_threads(-1):
        assert torch.get_num_threads() == 2
    assert torch.get_num_threads() == 3


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_fit_and_predict_leave_the_count_as_found(n_jobs):
    X, y = moons(50)
    model = TransferClassifier(RECIPE, max_epochs=2, n_jobs=n_jobs, random_state=0).fit(X, y)
    assert torch.get_num_threads() == 3
    model.predict(X)
    assert torch.get_num_threads() == 3
    FeatureExtractor(RECIPE, n_jobs=n_jobs).fit_transform(X)
    assert torch.get_num_threads() == 3


def test_a_fit_that_fails_leaves_the_count_as_found():
    X, y = moons(50)
    with pytest.raises(ValueError, match="diverged"):
        TransferClassifier(RECIPE, lr=1e30, max_epochs=3, random_state=0).fit(X, y)
    assert torch.get_num_threads() == 3


@pytest.mark.parametrize("first_out", [0, 1])
def test_calls_that_overlap_in_two_threads_put_the_count_back_in_both(first_out):
    """Each thread keeps a count of its own under OpenMP, so each must get its own back."""
    both_in, one_out, counts = threading.Barrier(2), threading.Event(), {}

    def call(number):
        torch.set_num_threads(3)
        with capped_threads(1):
            both_in.wait(10)
            if number != first_out:
                one_out.wait(10)
        counts[number] = torch.get_num_threads()
        one_out.set()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(call, range(2)))
    assert counts == {0: 3, 1: 3}


def test_a_count_of_many_fits_at_once_is_put_back():
    X, y = moons(50)

    def fit(seed):
        TransferClassifier(RECIPE, max_epochs=2, random_state=seed).fit(X, y)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(fit, range(16)))
    assert torch.get_num_threads() == 3
    with capped_threads(None):
        assert torch.get_num_threads() == 1


def counts_in_another_process(code):
    """What `code` prints, in a process that has loaded numpy and threadpoolctl alone."""
    head = (
        "import sys, numpy\n"
        "from threadpoolctl import threadpool_info\n"
        "from sktransfer.utils.threads import capped_threads\n"
        "def blas(): return sorted(lib['num_threads'] for lib in threadpool_info() if lib['user_api'] == 'blas')\n"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": FREE, "OPENBLAS_NUM_THREADS": FREE}
    done = subprocess.run([sys.executable, "-c", head + code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_numpy_s_blas_is_capped_and_torch_is_not_imported():
    code = "with capped_threads(1): print(*blas())\nprint(*blas(), 'torch' in sys.modules)"
    assert counts_in_another_process(code) == ["1", FREE, "False"]


def test_what_is_loaded_after_the_first_call_is_capped_too():
    code = (
        "with capped_threads(1): pass\n"
        "import scipy.linalg\n"
        "with capped_threads(1): print(set(blas()), len(blas()) > 1)\n"
        "import torch\n"
        "with capped_threads(1): print(set(blas()), torch.get_num_threads())\n"
        "print(set(blas()), torch.get_num_threads())\n"
    )
    found = counts_in_another_process(code)
    assert found in (
        ["{1}", several, "{1}", "1", f"{{{FREE}}}", FREE] for several in ("True", "False")
    )  # scipy may share one


def test_what_is_loaded_before_the_first_call_is_capped():
    code = (
        "import torch, scipy.linalg\n"
        "with capped_threads(1): print(set(blas()), torch.get_num_threads())\n"
        "print(set(blas()), torch.get_num_threads())\n"
    )
    assert counts_in_another_process(code) == ["{1}", "1", f"{{{FREE}}}", FREE]


def test_torch_s_own_products_are_capped_in_a_thread_that_never_used_it():
    """The MKL inside torch keeps a count of its own, which OpenMP's does not change."""
    pattern = r"mkl_get_max_threads\(\) : (\d+)"
    if not torch.backends.mkl.is_available():
        pytest.skip("this torch has no MKL")

    def call():
        with capped_threads(1):
            return re.findall(pattern, torch.__config__.parallel_info()), torch.get_num_threads()

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(call).result() == (["1"], 1)
    assert re.findall(pattern, torch.__config__.parallel_info()) == ["3"]
