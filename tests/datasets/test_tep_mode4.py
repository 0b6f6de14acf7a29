"""The sample of mode 4 that is installed with the package is a part of the data set it names."""

import importlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sktransfer import load_backbone, load_tep_mode4


def test_the_sample_is_every_15th_row_of_the_stored_mode(repository_root_importable):
    plant = load_tep_mode4()
    sample = importlib.import_module("datasets.tep.sample")
    pd.testing.assert_frame_equal(pd.read_csv(plant.filename), sample.sample(), check_exact=True)
    assert Path(plant.filename).stat().st_size < 310_000
    X, y, groups, _ = importlib.import_module("datasets.tep").load_tep(4)
    whole = pd.Series([tuple(row) for row in X.to_numpy()])
    rows = whole[whole.isin([tuple(row) for row in plant.data.to_numpy()])].index
    assert len(plant.data) == len(rows) == 1602
    assert y.iloc[rows].tolist() == plant.target.tolist()
    assert groups[rows].tolist() == plant.groups.tolist()


def test_columns_and_labels_are_those_of_the_shipped_network():
    plant, backbone = load_tep_mode4(), load_backbone("tep-process")
    assert plant.data.columns.tolist() == plant.feature_names == list(backbone.inputs.names)
    assert plant.target_names.tolist() == sorted(backbone.source.classes.tolist())
    assert set(plant.sample_domain) == {4}
    assert (pd.Series(plant.target).groupby(plant.groups).nunique() == 1).all()
    assert (pd.Series(plant.hours).groupby(plant.groups).diff().dropna().round(9) == 0.75).all()


def test_the_card_counts_what_is_there():
    plant = load_tep_mode4()
    counts = plant.target.value_counts()
    assert (counts["normal"], counts["idv06-a-feed-loss"], counts["idv07-c-header-pressure-loss"]) == (256, 49, 17)
    assert (counts == 128).sum() == 10
    for fact in ("1,602", "112", "256 rows", "128 rows", "49 rows", "17 rows", "research and education"):
        assert fact in plant.DESCR


@pytest.mark.parametrize("as_frame", [True, False])
def test_forms_of_the_answer_hold_the_same_numbers(as_frame):
    plant = load_tep_mode4(as_frame=as_frame)
    X, y = load_tep_mode4(return_X_y=True, as_frame=as_frame)
    np.testing.assert_array_equal(X, plant.data)
    np.testing.assert_array_equal(y, plant.target)
    assert isinstance(X, pd.DataFrame if as_frame else np.ndarray)
    assert (plant.frame is not None) == as_frame
    assert np.asarray(X).dtype == np.float64
