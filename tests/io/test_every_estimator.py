"""Every public estimator goes through a model file with nothing trusted by hand, and answers as before."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression, Ridge

import sktransfer
from sktransfer import FromScratch, LinearProbing, load, save
from tests.acceptance import plant
from tests.helpers import moons, small_backbone
from tests.io.make_golden import monitor

X, Y = moons(60)
DOMAIN = np.where(np.arange(60) % 2, 1, -1)
SMALL = {"max_epochs": 2, "random_state": 0}


def network(**parameters):
    return sktransfer.TransferClassifier(small_backbone(), **SMALL, **parameters)


def scratch():
    return FromScratch(arguments={"hidden_layer_sizes": (8,)})


def fits():
    """A fitted object of each kind, by the name of its class."""
    mapped = {"sample_domain": DOMAIN}
    return {
        "TransferClassifier": lambda: network().fit(X, Y),
        "TransferRegressor": lambda: sktransfer.TransferRegressor(small_backbone(), **SMALL).fit(X, X[:, 0]),
        "MultiTaskTransfer": lambda: sktransfer.MultiTaskTransfer(scratch(), **SMALL).fit(X, {"a": Y, "b": X[:, 0]}),
        "SourceClassifier": lambda: sktransfer.SourceClassifier(small_backbone()).fit(X),
        "SourceRegressor": lambda: sktransfer.SourceRegressor(
            sktransfer.TransferRegressor(scratch(), **SMALL).fit(X, X[:, 0]).backbone_).fit(X),
        "SourceFreeClassifier": lambda: sktransfer.SourceFreeClassifier(small_backbone(), **SMALL).fit(X),
        "DomainAdaptationClassifier": lambda: sktransfer.DomainAdaptationClassifier(scratch(), **SMALL).fit(
            X, Y, **mapped),
        "DomainAdaptationRegressor": lambda: sktransfer.DomainAdaptationRegressor(scratch(), **SMALL).fit(
            X, X[:, 0], **mapped),
        "Pooled": lambda: sktransfer.Pooled(LogisticRegression()).fit(X, Y, **mapped),
        "FleetClassifier": lambda: sktransfer.FleetClassifier(small_backbone()).fit(X, Y, sample_domain=DOMAIN % 3),
        "TransferDetector": lambda: sktransfer.TransferDetector(small_backbone()).fit(X),
        "OpenSetClassifier": lambda: sktransfer.OpenSetClassifier(network(strategy=LinearProbing())).fit(X, Y),
        "Pipeline": lambda: sktransfer.make_pipeline(sktransfer.BaselineScaler(), network()).fit(X, Y),
        "FeatureExtractor": lambda: sktransfer.FeatureExtractor(small_backbone()).fit(X),
        "BaselineScaler": lambda: sktransfer.BaselineScaler(whiten=True).fit(X, Y, **mapped),
        "WindowScaler": lambda: sktransfer.WindowScaler().fit(X),
        "LaggedWindows": lambda: sktransfer.LaggedWindows().fit(X),
        "EnvelopeSpectra": lambda: sktransfer.EnvelopeSpectra().fit(
            sktransfer.Windows.of(np.random.default_rng(0).normal(size=(5, 1, 4096)), sampling_rate=12_000)),
        "CORAL": lambda: sktransfer.CORAL().fit(X, Y, **mapped),
        "SubspaceAlignment": lambda: sktransfer.SubspaceAlignment().fit(X, Y, **mapped),
        "OTMapping": lambda: sktransfer.OTMapping().fit(X, Y, **mapped),
        "SafeTransferClassifier": lambda: sktransfer.SafeTransferClassifier(
            candidates={"network": network(), "linear": LogisticRegression()}, random_state=0).fit(X, Y),
        "SafeTransferRegressor": lambda: sktransfer.SafeTransferRegressor(
            candidates={"linear": Ridge(), "weak": Ridge(10.0)}, random_state=0).fit(X, X[:, 0]),
        "BatchedGridSearchCV": lambda: sktransfer.BatchedGridSearchCV(network(), {"lr": [0.01, 0.02]}, cv=2).fit(X, Y),
        "BatchedRandomizedSearchCV": lambda: sktransfer.BatchedRandomizedSearchCV(
            network(), {"lr": [0.01, 0.02]}, n_iter=1, cv=2, random_state=0).fit(X, Y),
        "ConditionMonitor": lambda: monitor(None).fit(plant.table(0, 300, plant.BEGIN)),
        "Alarms": lambda: sktransfer.Alarms().fit(
            X[:, 0], time=pd.date_range("2026-01-01", periods=60, freq="D", tz="UTC")),
    }  # fmt: skip


def answers(model):
    if hasattr(model, "table_format"):
        return model.predict(plant.table(1, 20, plant.BEGIN)).drop(columns=["time"]).to_numpy().tolist()
    if hasattr(model, "alarms_per_day"):
        return model.threshold_
    given = X if type(model).__name__ != "EnvelopeSpectra" else sktransfer.Windows.of(
        np.random.default_rng(1).normal(size=(5, 1, 4096)), sampling_rate=12_000)  # fmt: skip
    if hasattr(model, "predict"):
        found = (
            model.predict(given, sample_domain=DOMAIN % 3) if "Fleet" in type(model).__name__ else model.predict(given)
        )
        return found if not isinstance(found, dict) else [np.asarray(part).tolist() for part in found.values()]
    return model.transform(given)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", fits())
def test_it_is_stored_loaded_and_answers_alike(name, tmp_path):
    model = fits()[name]()
    assert type(model).__name__ == name
    loaded = load(save(model, tmp_path / "model.skops"))
    assert type(loaded) is type(model)
    np.testing.assert_array_equal(answers(loaded), answers(model))


STATISTICS = ["HotellingT2", "PrincipalComponents", "HealthyNeighbors", "TagT2"]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", STATISTICS)
def test_a_detector_with_each_statistic_is_stored_loaded_and_answers_alike(name, tmp_path):
    backbone = None if name == "TagT2" else small_backbone()
    model = sktransfer.TransferDetector(backbone, statistic=getattr(sktransfer, name)()).fit(X)
    loaded = load(save(model, tmp_path / "model.skops"))
    # an array is stored in C order, and BLAS rounds in another order
    np.testing.assert_allclose(loaded.score_samples(X), model.score_samples(X), rtol=1e-12)


def test_no_public_estimator_is_left_out():
    public = [getattr(sktransfer, name) for name in sktransfer._HOMES]
    kinds = {kind for kind in public if isinstance(kind, type) and issubclass(kind, BaseEstimator)}
    fitted = {kind.__name__ for kind in kinds if hasattr(kind, "fit")}
    assert fitted - set(fits()) - {*STATISTICS, "HealthyStatistic"} == set()  # the last one is their base
