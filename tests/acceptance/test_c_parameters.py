"""Acceptance, section C: constructor parameters. The name of a test begins with its id."""

import warnings

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_html_repr

from sktransfer import (
    L2SP,
    BaselineScaler,
    FeatureExtractor,
    FineTuning,
    FromScratch,
    LayerDecay,
    MLPHead,
    TransferClassifier,
    TransferRegressor,
)
from sktransfer.utils.parameters import InvalidParameterError
from tests.acceptance.cases import X, quick, y
from tests.helpers import small_backbone


@pytest.fixture(scope="module")
def backbone():
    return small_backbone(max_epochs=5)


@pytest.mark.parametrize("lr", [-1, "0.1", 0, np.nan, np.inf, None])
@pytest.mark.parametrize("estimator", [TransferClassifier, TransferRegressor])
def test_C1_unusable_lr_is_an_error_at_fit(estimator, lr):
    model = estimator(lr=lr)
    with pytest.raises(
        InvalidParameterError, match=rf"'lr' parameter of {estimator.__name__} must be a float in .* Got"
    ):
        model.fit(X, y == "leak")


@pytest.mark.parametrize("max_epochs", [0, -1, 1.5, "ten", None])
def test_C2_unusable_max_epochs_is_an_error_at_fit(max_epochs):
    with pytest.raises(
        InvalidParameterError, match=r"'max_epochs' parameter .* must be an int in the range \[1, inf\)"
    ):
        quick(max_epochs=max_epochs).fit(X, y)


@pytest.mark.parametrize("batch_size", [0, -1, 2.5, "ten", None])
def test_C3_unusable_batch_size_is_an_error_at_fit(batch_size):
    with pytest.raises(
        InvalidParameterError, match=r"'batch_size' parameter .* must be an int in the range \[1, inf\)"
    ):
        quick(batch_size=batch_size).fit(X, y)


@pytest.mark.parametrize("n_rows", [80, 79, 3])
def test_C3_batches_of_one_row_are_safe_for_batch_norm(n_rows):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = quick(batch_size=1).fit(X[:n_rows], y[:n_rows])
        assert np.isfinite(model.predict_proba(X[:n_rows])).all()


def test_C3_a_batch_larger_than_the_rows_is_all_rows():
    expected = quick(batch_size=80).fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(quick(batch_size=10_000).fit(X, y).predict_proba(X), expected)


@pytest.mark.parametrize("lr", [1e2, 1e4, 1e9, 1e30, 1e300])
@pytest.mark.parametrize("from_scratch", [True, False])
def test_C4_divergence_is_an_error_or_a_warning_and_never_nan(backbone, lr, from_scratch):
    parameters = {} if from_scratch else {"backbone": backbone, "strategy": FineTuning()}
    model = quick(lr=lr, max_epochs=20, **parameters)
    error = None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            model.fit(X, y)
        except ValueError as raised:
            error = str(raised)
    assert not [w for w in caught if issubclass(w.category, RuntimeWarning)]
    if error is not None:
        assert "not finite" in error
        assert f"lr={lr:g}" in error
        assert "Lower lr" in error
        assert not hasattr(model, "module_")
        return
    assert all(bool(torch.isfinite(p).all()) for p in model.module_.state_dict().values())
    warned = [w for w in caught if issubclass(w.category, ConvergenceWarning) and f"lr={lr:g}" in str(w.message)]
    assert bool(warned) or model.history_[-1]["train_loss"] < 2 * model.history_[0]["train_loss"] + 1e-3


def test_C4_the_largest_rates_do_not_pass_in_silence(backbone):
    for parameters in ({}, {"backbone": backbone, "strategy": FineTuning()}):
        with pytest.raises(ValueError, match=r"lr=1e\+09.*Lower lr"):
            quick(lr=1e9, max_epochs=20, **parameters).fit(X, y)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"hidden_layer_sizes": "32"}, "hidden_layer_sizes"),
        ({"hidden_layer_sizes": 32}, "hidden_layer_sizes"),
        ({"hidden_layer_sizes": (0,)}, "hidden_layer_sizes"),
        ({"hidden_layer_sizes": (-3,)}, "hidden_layer_sizes"),
        ({"hidden_layer_sizes": (3.5,)}, "hidden_layer_sizes"),
        ({"hidden_layer_sizes": ()}, "hidden_layer_sizes"),
        ({"dropout": 2}, "dropout"),
        ({"dropout": "a"}, "dropout"),
    ],
)
def test_C5_unusable_network_argument_is_an_error_that_names_it(arguments, name):
    with pytest.raises(InvalidParameterError, match=f"'{name}' parameter of MLP must be .* Got"):
        TransferClassifier(FromScratch(arguments=arguments), max_epochs=1).fit(X, y)


@pytest.mark.parametrize("sizes", ["32", 32, (0,), (-3,), (3.5,)])
def test_C5_unusable_head_sizes_are_an_error_that_names_them(sizes):
    with pytest.raises(InvalidParameterError, match=r"'hidden_layer_sizes' parameter of MLPHead must be .* Got"):
        quick(head=MLPHead(hidden_layer_sizes=sizes)).fit(X, y)


@pytest.mark.parametrize(
    ("strategy", "name"),
    [
        (FineTuning(n_frozen_blocks="x"), "n_frozen_blocks"),
        (FineTuning(n_frozen_blocks=9), "n_frozen_blocks"),
        (LayerDecay("a"), "decay"),
        (LayerDecay(-1), "decay"),
        (L2SP("a"), "alpha"),
        (L2SP(-1), "alpha"),
    ],
)
def test_C5_unusable_strategy_parameter_is_an_error_that_names_it(backbone, strategy, name):
    with pytest.raises(ValueError, match=rf"{name}.*(must|use)"):
        quick(backbone=backbone, strategy=strategy, max_epochs=2).fit(X, y)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
@pytest.mark.parametrize("device", ["cuda", "cuda:1", torch.device("cuda")])
def test_C6_cuda_where_there_is_none_is_an_error(device):
    message = r"there is no CUDA here; use device='auto'"
    with pytest.raises(RuntimeError, match=message):
        quick(device=device).fit(X, y)
    with pytest.raises(RuntimeError, match=message):
        FeatureExtractor(device=device).fit(X)
    fitted = quick().fit(X, y).set_params(device=device)
    with pytest.raises(RuntimeError, match=message):
        fitted.predict(X)


def test_C6_auto_is_the_device_that_is_here():
    here = "cuda" if torch.cuda.is_available() else "cpu"
    assert quick(device="auto").fit(X, y).device_.split(":")[0] == here


@pytest.mark.parametrize("device", ["gpu0", "mps", "meta", "", None, 0])
def test_C7_unknown_device_is_an_error_that_lists_the_known(device):
    with pytest.raises(InvalidParameterError, match=r"'device' parameter.*('auto', 'cpu', 'cuda'|'str')"):
        quick(device=device).fit(X, y)


def test_C8_random_state_of_all_kinds():
    def result(random_state):
        return quick(random_state=random_state).fit(X, y).predict_proba(X)

    np.testing.assert_array_equal(result(7), result(7))
    np.testing.assert_array_equal(result(np.random.RandomState(7)), result(np.random.RandomState(7)))
    np.testing.assert_array_equal(result(np.random.default_rng(7)), result(np.random.default_rng(7)))
    for other in (8, None, np.random.default_rng(8)):
        assert np.abs(result(other) - result(7)).max() > 1e-3
    assert np.abs(result(None) - result(None)).max() > 1e-3


def test_C8_a_generator_moves_on_from_fit_to_fit():
    model = quick(random_state=np.random.default_rng(7))
    assert np.abs(model.fit(X, y).predict_proba(X) - model.fit(X, y).predict_proba(X)).max() > 1e-3


@pytest.mark.parametrize("random_state", [-1, 1.5, "seed", 2**32])
def test_C8_unusable_random_state_is_an_error(random_state):
    with pytest.raises(InvalidParameterError, match="'random_state' parameter of TransferClassifier must be"):
        quick(random_state=random_state).fit(X, y)


@pytest.mark.parametrize("estimator", [TransferClassifier, TransferRegressor, FeatureExtractor, BaselineScaler])
def test_C9_unknown_parameter_is_an_error_that_names_it(estimator):
    with pytest.raises(TypeError, match="unexpected keyword argument 'epochs'"):
        estimator(epochs=3)
    with pytest.raises(ValueError, match="Invalid parameter 'epochs' for estimator"):
        estimator().set_params(epochs=3)


def test_C9_unknown_nested_parameter_is_an_error_that_names_it():
    with pytest.raises(ValueError, match="Invalid parameter 'depth' for estimator FineTuning"):
        quick(strategy=FineTuning()).set_params(strategy__depth=3)


def test_C10_parameters_go_round(backbone):
    strategy = LayerDecay(0.5) & L2SP(0.01)
    model = make_pipeline(BaselineScaler(clip=9.0), quick(backbone=backbone, strategy=strategy, head=MLPHead((8,))))
    copy = clone(model)
    assert copy.get_params().keys() == model.get_params().keys()
    plain = {
        key: value
        for key, value in model.get_params().items()
        if isinstance(value, str | int | float | tuple | None) and key != "transform_input"
    }
    assert len(plain) > 15
    assert {key: copy.get_params()[key] for key in plain} == plain
    assert copy[-1].backbone is backbone
    assert copy[-1].strategy is not strategy
    assert repr(copy) == repr(model)
    other = clone(model).set_params(**plain)
    assert repr(other) == repr(model)
    assert repr(clone(model).set_params(transferclassifier__lr=0.5)) != repr(model)


def test_C10_nested_parameters_can_be_set(backbone):
    model = quick(backbone=backbone, strategy=FineTuning(), head=MLPHead())
    model.set_params(strategy__n_frozen_blocks=2, head__hidden_layer_sizes=(5,), lr=0.02)
    assert (model.strategy.n_frozen_blocks, model.head.hidden_layer_sizes, model.lr) == (2, (5,), 0.02)
    scratch = quick().set_params(backbone__arguments={"hidden_layer_sizes": (5,)})
    assert scratch.fit(X, y).backbone_.n_features_out == 5


def test_C10_repr_and_html_show_what_was_set(backbone):
    model = quick(backbone=backbone, strategy=FineTuning(n_frozen_blocks=2))
    assert "FineTuning(n_frozen_blocks=2)" in repr(model)
    for text in (estimator_html_repr(model), estimator_html_repr(model.fit(X, y))):
        assert "TransferClassifier" in text
        assert "n_frozen_blocks" in text
