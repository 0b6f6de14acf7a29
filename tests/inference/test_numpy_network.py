"""Networks computed in numpy give what torch gives, for every layer, number of rows and order."""

import copy
import pickle
import threading
import time
import tracemalloc
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from sktransfer import (
    FeatureExtractor,
    FromScratch,
    LinearProbing,
    MLPHead,
    TransferClassifier,
    TransferRegressor,
)
from sktransfer.inference.numpy_network import FEW_ROWS, NumpyNetwork
from sktransfer.networks.layers import read_layers
from sktransfer.networks.registry import describe_layer
from sktransfer.utils.chunks import CHUNK, in_chunks
from tests.helpers import moons

ACTIVATIONS = [nn.ReLU(), nn.LeakyReLU(0.3), nn.ELU(0.7), nn.GELU(), nn.GELU("tanh"), nn.SiLU(), nn.Tanh(),
               nn.Sigmoid(), nn.Softplus(2.0, 3.0), nn.Identity(), nn.Dropout(0.4)]  # fmt: skip


def program_of(network):
    layers = read_layers("", *describe_layer("", network)[1:])
    return NumpyNetwork([(layers, {key: value.numpy() for key, value in network.state_dict().items()})])


def by_torch(network, X):
    """What torch computes in float64 with the same weights."""
    with torch.no_grad():
        expected = network.double()(torch.from_numpy(X.astype(np.float64))).numpy()
    network.float()
    return expected


def shaken(network, seed=0):
    """`network` in inference mode with weights and statistics that are not those of its constructor."""
    generator = torch.Generator().manual_seed(seed)
    for tensor in network.state_dict().values():
        if tensor.is_floating_point():
            tensor.add_(torch.rand(tensor.shape, generator=generator) * 0.5 + 0.05)
    return network.eval()


@pytest.mark.parametrize("n_rows", [1, 5, FEW_ROWS, FEW_ROWS + 1, 300])
@pytest.mark.parametrize("layer", [*ACTIVATIONS, nn.Linear(6, 3), nn.Linear(6, 200, bias=False), nn.BatchNorm1d(6),
                                   nn.BatchNorm1d(6, eps=0.1, affine=False)], ids=repr)  # fmt: skip
def test_every_layer_alone_is_that_of_torch(layer, n_rows):
    network = shaken(nn.Sequential(layer))
    X = np.random.default_rng(0).normal(size=(n_rows, 6), scale=4).astype(np.float32)
    before = X.copy()
    found = program_of(network).run(X)
    assert found.dtype == (np.float64 if n_rows <= FEW_ROWS else np.float32)
    np.testing.assert_allclose(found, by_torch(network, X), rtol=1e-4, atol=2e-6)
    np.testing.assert_array_equal(X, before)


LAYERS = st.lists(st.integers(0, len(ACTIVATIONS) + 3), min_size=1, max_size=8)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(LAYERS, st.sampled_from([1, 2, 40, 100, 130]), st.integers(0, 99))
def test_layers_in_any_order_are_those_of_torch(kinds, n_rows, seed):
    rng = np.random.default_rng(seed)
    layers, width = [], 5
    for kind in kinds:
        if kind < len(ACTIVATIONS):
            layers.append(ACTIVATIONS[kind])
        elif kind < len(ACTIVATIONS) + 2:
            layers.append(nn.BatchNorm1d(width, affine=kind == len(ACTIVATIONS)))
        else:
            new = int(rng.integers(1, 30))
            layers.append(nn.Linear(width, new, bias=kind % 2 == 0))
            width = new
    network = shaken(nn.Sequential(*layers), seed)
    X = rng.normal(size=(n_rows, 5)).astype(np.float32)
    expected = by_torch(network, X)
    np.testing.assert_allclose(program_of(network).run(X), expected, rtol=1e-3, atol=1e-5 * (1 + abs(expected).max()))


@pytest.mark.parametrize("at", range(8))
def test_a_network_on_the_blocks_of_another_is_the_whole_network(at):
    """Where it is cut, a ReLU may end one part, or begin the other."""
    network = shaken(nn.Sequential(nn.Linear(5, 40), nn.ReLU(), nn.Linear(40, 30), nn.ReLU(), nn.ReLU(), nn.Tanh(),
                                   nn.Linear(30, 3)), seed=3)  # fmt: skip
    for tensor in (network[0].bias, network[2].bias):
        tensor.data -= 2.0  # of either sign, so that ReLU cuts off some of each
    below, above = (list(network)[:at], list(network)[at:])
    X = np.random.default_rng(0).normal(size=(3000, 5)).astype(np.float32)
    parts = []
    for layers in (below, above):
        described = read_layers("", *describe_layer("", nn.Sequential(*layers))[1:])
        parts.append((described, {k: v.numpy() for k, v in nn.Sequential(*layers).state_dict().items()}))
    first = NumpyNetwork([parts[0]])
    second = NumpyNetwork([parts[1]], below=first)
    np.testing.assert_allclose(second.run(X), by_torch(network, X), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(first.run(X), by_torch(nn.Sequential(*below), X), rtol=1e-5, atol=1e-5)


def test_normalisation_is_folded_into_the_products():
    network = nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.BatchNorm1d(8),
                            nn.Dropout(), nn.Linear(8, 2))  # fmt: skip
    assert [step[0] for step in program_of(network.eval())._steps] == ["linear", "call", "linear"]


@pytest.fixture(scope="module")
def wide():
    """Layers wide enough for the kernels that differ between rows."""
    X, y = moons(200)
    source = TransferClassifier(FromScratch(arguments={"hidden_layer_sizes": (256, 256)}), max_epochs=3, random_state=0)
    return TransferClassifier(source.fit(X, y).backbone_, head=MLPHead((64,)), max_epochs=3, random_state=0).fit(X, y)


def test_an_estimator_predicts_what_its_torch_module_says(wide):
    X = moons(2500, seed=1)[0]
    X = X.clip(-3, 3).astype(np.float32)
    with torch.no_grad():
        outputs = wide.module_.double()(torch.from_numpy(X).double())
        wide.module_.float()
    for rows in (slice(0, 1), slice(0, 50), slice(None)):
        expected = outputs[rows].softmax(1).numpy()
        np.testing.assert_allclose(wide.predict_proba(X[rows]), expected, atol=2e-6 if len(expected) > 64 else 1e-6)
    assert (wide.predict(X) == wide.classes_[wide.predict_proba(X).argmax(axis=1)]).all()
    regressor = TransferRegressor(wide.backbone_, strategy=LinearProbing()).fit(X[:200], X[:200, :2] * 100)
    with torch.no_grad():
        values = regressor.module_(torch.from_numpy(X)).numpy() * regressor.y_scale_ + regressor.y_center_
    np.testing.assert_allclose(regressor.predict(X), values, atol=1e-3)


def test_few_rows_get_the_same_result_alone_among_others_and_in_another_order(wide):
    X, _ = moons(FEW_ROWS, seed=2)
    X = X.clip(-3, 3)
    expected = wide.predict_proba(X)
    alone = np.vstack([wide.predict_proba(X[i : i + 1]) for i in range(len(X))])
    np.testing.assert_allclose(alone, expected, rtol=1e-12, atol=1e-14)
    order = np.random.default_rng(0).permutation(len(X))
    np.testing.assert_allclose(wide.predict_proba(X[order]), expected[order], rtol=1e-12, atol=1e-14)
    many = wide.predict_proba(np.tile(X, (3, 1)))  # in float32
    np.testing.assert_allclose(many, np.tile(expected, (3, 1)), atol=1e-6)


@pytest.mark.parametrize("block", [None, "block1"])
def test_an_extractor_returns_the_features_of_its_modules(wide, block):
    X = moons(2 * CHUNK + 10, seed=3)[0].astype(np.float32)
    extractor = FeatureExtractor(wide.backbone_, block=block, standardize=False).fit(X)
    with torch.no_grad():
        x = torch.from_numpy(X)
        for module in wide.backbone_._modules[: 1 if block else None]:
            x = module(x)
    features = extractor.transform(X)
    assert features.dtype == np.float32
    np.testing.assert_allclose(features, x.numpy(), atol=1e-5)
    np.testing.assert_allclose(extractor.transform(X[:3]), x.numpy()[:3], atol=1e-5)


def test_modules_and_arrays_are_made_ready_once_by_whichever_thread_comes_first(wide):
    X = moons(300, seed=4)[0]
    expected = wide.predict_proba(X)
    for _ in range(5):
        fresh = pickle.loads(pickle.dumps(wide))
        results, modules, start = [], [], threading.Barrier(8)

        def call(fresh=fresh, results=results, modules=modules, start=start):
            start.wait(10)
            modules.append(fresh.module_)
            results.append(fresh.predict_proba(X))

        threads = [threading.Thread(target=call) for _ in range(8)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        assert len(results) == 8
        assert all(np.array_equal(result, expected) for result in results)
        assert all(module is modules[0] for module in modules)


def test_the_errors_and_warnings_of_single_cells_are_those_of_the_full_checks(wide):
    good = moons(3000, seed=5)[0].clip(-3, 3)
    for place in (0, 2999):
        for value, words in ((np.nan, "NaN in column 'x2'"), (np.inf, "infinity in column 'x2'"), (1e16, "too large"),
                             (1e300, "too large")):  # fmt: skip
            bad = good.copy()
            bad[place, 2] = value
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                for method in (wide.predict, wide.predict_proba):
                    with pytest.raises(ValueError, match=words):
                        method(bad)
        far = good.copy()
        far[place, 2] = 1e3
        for method in (wide.predict, wide.predict_proba):
            with pytest.warns(UserWarning, match="1 of 3000 rows lie far outside"):
                result = method(far)
        assert result[place].max() < 0.5


def test_a_network_whose_answer_is_not_finite_is_an_error():
    X, y = moons(40)
    model = TransferClassifier(strategy=LinearProbing(), random_state=0).fit(X, y)
    state = model.__getstate__()
    arrays = {key: array.copy() for key, array in state["_head_arrays"].items()}
    arrays["output.weight"][:] = 3e38
    state["_head_arrays"] = type(state["_head_arrays"])(arrays)
    del state["_checksum"]
    broken = object.__new__(TransferClassifier)
    broken.__setstate__(state)
    with pytest.raises(ValueError, match="not finite"):
        broken.predict(np.vstack([X] * 5))


@pytest.mark.parametrize("device", ["tpu", "cuda:x"])
def test_a_device_that_is_none_is_still_an_error(wide, device):
    model = copy.deepcopy(wide).set_params(device=device)
    with pytest.raises(ValueError, match="'device' parameter must be"):
        model.predict(np.zeros((1, 4)))


def test_one_row_takes_no_longer_than_scikit_learns_network():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(300, 32)), rng.integers(0, 4, 300)
    recipe = FromScratch(arguments={"hidden_layer_sizes": (256,) * 4})
    ours = TransferClassifier(recipe, head=MLPHead((64,)), max_epochs=1, random_state=0)
    theirs = MLPClassifier((256, 256, 256, 256, 64), max_iter=1)
    best = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipelines = [make_pipeline(StandardScaler(), network).fit(X, y) for network in (ours, theirs)]
        for _ in range(15):
            for pipeline in pipelines:
                begin = time.perf_counter()
                for _ in range(30):
                    pipeline.predict_proba(X[:1])
                best[pipeline] = min(best.get(pipeline, np.inf), time.perf_counter() - begin)
    assert best[pipelines[0]] <= best[pipelines[1]]


def test_ten_thousand_predictions_leave_nothing_behind(wide):
    row = np.zeros((1, 4))
    wide.predict(row)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(10_000):
        wide.predict(row)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 20_000


def test_labels_of_many_rows_take_little_memory_beside_themselves(wide):
    rows = np.zeros((600_000, 4), dtype=np.float32)  # their probabilities would take 14 MB
    wide.predict(rows[:2000])
    tracemalloc.start()
    labels = wide.predict(rows)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < labels.nbytes + 8e6


@pytest.mark.parametrize("n_rows", [1, 1023, 1024, 1025, 5000])
@pytest.mark.parametrize("chunk", [CHUNK, 256])
def test_chunks_cover_every_row_once(n_rows, chunk):
    slices = list(in_chunks(n_rows, chunk))
    assert np.concatenate([np.arange(n_rows)[part] for part in slices]).tolist() == list(range(n_rows))
    assert max(len(range(n_rows)[part]) for part in slices) <= chunk
