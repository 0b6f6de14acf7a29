"""The list of what may be built: names that exist, classes and functions of numbers, nothing that runs a text."""

import importlib
import inspect

import numpy as np
import pytest
from sklearn.base import BaseEstimator

import sktransfer
from sktransfer.io.trusted_types import TRUSTED_TYPES

OURS = [name for name in TRUSTED_TYPES if name.startswith("sktransfer.")]
# scikit-learn moves and renames what is private; each of its supported versions has most of these
THEIRS = [name for name in TRUSTED_TYPES if name.startswith("sklearn.")]


def found(name):
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(module), attribute)


def test_it_is_a_tuple_of_different_full_names_of_three_packages():
    assert isinstance(TRUSTED_TYPES, tuple)
    assert len(set(TRUSTED_TYPES)) == len(TRUSTED_TYPES)
    assert {name.partition(".")[0] for name in TRUSTED_TYPES} == {"sktransfer", "sklearn", "numpy"}


def test_every_name_of_this_package_is_a_class_that_lives_there():
    for name in OURS:
        kind = found(name)
        assert isinstance(kind, type), name
        assert f"{kind.__module__}.{kind.__qualname__}" == name


def test_every_public_estimator_strategy_and_loss_is_listed():
    public = [getattr(sktransfer, name) for name in sktransfer._HOMES]
    kinds = [kind for kind in public if isinstance(kind, type) and issubclass(kind, BaseEstimator)]
    abstract = {"HealthyStatistic", "Alignment", "RowMap"}  # their subclasses are stored
    missing = {f"{kind.__module__}.{kind.__name__}" for kind in kinds if kind.__name__ not in abstract} - set(OURS)
    assert not missing


def test_names_of_scikit_learn_are_classes_or_functions_of_it():
    there = 0
    for name in THEIRS:
        try:
            kind = found(name)
        except (ImportError, AttributeError):
            continue
        there += 1
        assert isinstance(kind, type) or inspect.isfunction(kind), name
        assert kind.__module__.startswith("sklearn.")
    assert there >= 0.9 * len(THEIRS)


@pytest.mark.parametrize("part", ["tree", "ensemble", "svm", "neighbors", "callback", "externals", "gaussian_process"])
def test_compiled_code_that_follows_indices_is_not_trusted(part):
    assert not [name for name in THEIRS if name.startswith(f"sklearn.{part}")]


def test_of_numpy_only_functions_of_each_number_alone():
    assert all(isinstance(found(name), np.ufunc) and found(name).nin == 1 for name in TRUSTED_TYPES if "numpy." in name)
