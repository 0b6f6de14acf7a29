"""Windows that know less than those of fit, or more: said where the backbone reads speed and fault orders."""

import io
import pickle
import warnings

import numpy as np
import pytest

from sktransfer import (
    BearingGeometry,
    DataQualityWarning,
    EnvelopeSpectra,
    FeatureExtractor,
    LinearProbing,
    TransferClassifier,
    Windows,
    make_pipeline,
)

BEARING = BearingGeometry(n_rollers=9, roller_diameter=7.94, pitch_diameter=39.04)


def known_windows(n=20):
    X = np.random.default_rng(0).normal(size=(n, 1, 1024)) * np.where(np.arange(n) % 2, 3.0, 1.0)[:, None, None]
    return Windows.of(X, sampling_rate=12_000, rpm=1797, orders=BEARING)


def without(X, *names):
    fields = {name: getattr(X, name) for name in ("sampling_rate", "rpm", "orders") if name not in names}
    return Windows.of(np.asarray(X), **fields)


def said_by(call, *arguments):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call(*arguments)
    return [
        str(w.message)
        for w in caught
        if "which all windows of fit did" in str(w.message) or "no window of fit" in str(w.message)
    ]


MAKERS = {
    "classifier": lambda: TransferClassifier("vibration", strategy=LinearProbing(), random_state=0),
    "extractor": lambda: FeatureExtractor("vibration"),
    "spectra": EnvelopeSpectra,
}


@pytest.mark.parametrize("kind", MAKERS)
def test_windows_that_lost_what_those_of_fit_knew_are_counted_in_one_sentence(kind):
    X = known_windows()
    y = np.arange(len(X)) % 2
    model = MAKERS[kind]().fit(X, y)
    ask = model.predict if kind == "classifier" else model.transform
    assert said_by(ask, X) == said_by(ask, X[:3]) == []
    found = said_by(ask, without(X, "rpm", "orders"))
    assert len(found) == 1
    assert found[0].startswith(f"{type(model).__name__}: 20 of 20 windows do not know their ['rpm', 'orders']")
    assert "Windows.of(X, sampling_rate=..., rpm=..., orders=...)" in found[0]
    some = without(X)
    some.rpm[[2, 5]] = np.nan
    assert "2 of 20 windows do not know their ['rpm']" in said_by(ask, some)[0]
    again = pickle.loads(pickle.dumps(model))
    assert len(said_by(getattr(again, ask.__name__), without(X, "orders"))) == 1


def test_a_file_of_numpy_drops_the_fields_and_this_is_said():
    X, file = known_windows(), io.BytesIO()
    spectra = EnvelopeSpectra().fit(X)
    np.save(file, X)
    file.seek(0)
    loaded = np.load(file)
    assert "['sampling_rate', 'rpm', 'orders']" in said_by(spectra.transform, loaded)[0]
    # and they did change the answer
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataQualityWarning)
        assert np.abs(spectra.transform(loaded) - spectra.transform(X)).max() > 1


@pytest.mark.parametrize("kind", MAKERS)
def test_windows_that_know_more_than_those_of_fit_are_said(kind):
    X = known_windows()
    model = MAKERS[kind]().fit(without(X, "rpm", "orders"), np.arange(len(X)) % 2)
    ask = model.predict if kind == "classifier" else model.transform
    assert said_by(ask, without(X, "rpm", "orders")) == []
    assert "20 of 20 windows know their ['rpm', 'orders'], which no window of fit did" in said_by(ask, X)[0]


def test_where_some_windows_of_fit_knew_nothing_is_remarked_on():
    X = known_windows()
    X.rpm[::3] = np.nan
    spectra = EnvelopeSpectra().fit(X)
    assert spectra.window_fields_ == {"sampling_rate": "all", "rpm": "some", "orders": "all"}
    assert said_by(spectra.transform, known_windows()) == said_by(spectra.transform, without(X, "rpm")) == []


def test_a_network_that_reads_no_speed_does_not_ask_for_it():
    X = known_windows()
    model = TransferClassifier(max_epochs=1, random_state=0).fit(X, np.arange(len(X)) % 2)
    assert not hasattr(model, "window_fields_")
    assert said_by(model.predict, without(X, "rpm", "orders")) == []


def test_chunks_are_counted_together():
    X = known_windows()
    pipe = make_pipeline(EnvelopeSpectra()).fit(X)
    pipe.chunk_rows = 6
    found = said_by(pipe.transform, without(X, "rpm"))
    assert len(found) == 1
    assert "20 of 20 windows" in found[0]


def test_another_rate_than_that_of_fit_is_an_error_from_a_thousandth_on():
    X = np.random.default_rng(0).normal(size=(12, 2, 32))
    model = TransferClassifier("process", strategy=LinearProbing()).fit(Windows.of(X, sampling_rate=50), [0, 1] * 6)
    model.predict(Windows.of(X, sampling_rate=50.04))
    with pytest.raises(ValueError, match="sampled at 51 Hz, but was fitted to windows sampled at 50 Hz"):
        model.predict(Windows.of(X, sampling_rate=51))
