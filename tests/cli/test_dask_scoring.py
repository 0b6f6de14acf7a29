"""Tables scored on a dask cluster."""

import os

import numpy as np
import pytest
from sklearn.base import BaseEstimator

from sktransfer.cli.main import main
from tests.cli.rows import FRAME, ROWS


def test_a_dask_cluster_writes_the_same_files(score, tmp_path, models):
    distributed = pytest.importorskip("distributed")
    rows = ROWS.copy()
    rows.iloc[0, 0] = 1e6
    score(rows)
    for k in range(4):
        ROWS.iloc[k:].to_csv(tmp_path / "in" / f"{k}.csv", index=False)
    given = ["score", str(models[0] / "classifier.skops"), str(tmp_path / "in"), "--out-folder"]
    assert main([*given, str(tmp_path / "here")]) == 0
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None
    ) as cluster:
        assert main([*given, str(tmp_path / "there"), "--scheduler", cluster.scheduler_address]) == 0
    names = sorted(path.name for path in (tmp_path / "here").iterdir())
    assert (
        names
        == sorted(path.name for path in (tmp_path / "there").iterdir())
        == [*(f"{k}.csv" for k in range(4)), "rows.csv"]
    )
    for name in names:
        assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "there" / name).read_bytes()


class Deadly(BaseEstimator):
    """Ends its process at a row of 666."""

    def fit(self, X, y=None):
        self.feature_names_in_, self.n_features_in_ = np.array(list(X.columns), dtype=object), X.shape[1]
        return self

    def predict(self, X):
        if (X.to_numpy() == 666).any():
            os._exit(9)
        return np.zeros(len(X))


def test_a_cluster_without_workers_or_whose_workers_die_is_one_line(score, dumped, tmp_path, monkeypatch, capsys):
    distributed = pytest.importorskip("distributed")
    monkeypatch.setattr("sktransfer.cli.dask_scoring._PATIENCE", 3)
    score(ROWS.replace({"flow": {ROWS["flow"].iloc[0]: 666}}))
    model = str(dumped(Deadly().fit(FRAME))["model"])
    given = ["score", model, "--joblib", str(tmp_path / "in" / "rows.csv"), "--out-folder", str(tmp_path / "out")]
    with distributed.LocalCluster(n_workers=0, dashboard_address=None) as cluster:
        assert main([*given, "--scheduler", cluster.scheduler_address]) == 3
    assert "has no worker" in capsys.readouterr().err
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster:
        assert main([*given, "--scheduler", cluster.scheduler_address]) == 3
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
    assert len(said) == 1
    assert "workers" in said[0]
    assert list((tmp_path / "out").iterdir()) == []
