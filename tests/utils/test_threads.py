"""Torch's thread count is set for a call and put back after it, whatever happens in between."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from sktransfer import FeatureExtractor, FromScratch, TransferClassifier
from sktransfer.utils.threads import torch_threads
from tests.helpers import moons

RECIPE = FromScratch(arguments={"hidden_layer_sizes": (16, 8)})


@pytest.fixture(autouse=True)
def three_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("n_jobs", "inside"), [(None, 1), (1, 1), (2, 2), (-1, 3)])
def test_the_count_is_set_inside_and_put_back(n_jobs, inside):
    with torch_threads(n_jobs):
        assert torch.get_num_threads() == inside
    assert torch.get_num_threads() == 3


def test_the_count_is_put_back_after_an_error():
    with pytest.raises(ZeroDivisionError), torch_threads(1):
        1 // 0  # noqa: B018
    assert torch.get_num_threads() == 3


def test_nested_calls_put_the_count_back():
    with torch_threads(2):
        with torch_threads(1):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
    assert torch.get_num_threads() == 3
    with torch_threads(2), torch_threads(-1):
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
        with torch_threads(1):
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
    with torch_threads(None):
        assert torch.get_num_threads() == 1
