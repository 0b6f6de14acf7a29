"""Windows stay windows where frames are asked for, alone, in a pipeline and by a global setting."""

import numpy as np
import pandas as pd
import pytest
import sklearn
import sklearn.pipeline

from sktransfer import (
    BaselineScaler,
    EnvelopeSpectra,
    FeatureExtractor,
    LaggedWindows,
    Pipeline,
    Windows,
    WindowScaler,
)

rng = np.random.default_rng(0)
SIGNALS = Windows.of(rng.normal(size=(12, 2, 64)), sampling_rate=100, rpm=np.arange(12))
TABLE = pd.DataFrame(rng.normal(size=(12, 4)), columns=["p_t-1", "p_t", "T_t-1", "T_t"], index=np.arange(12) + 5)


@pytest.mark.parametrize("output", ["pandas", "polars"])
@pytest.mark.parametrize("scaler", [BaselineScaler(), WindowScaler()], ids=repr)
def test_scalers_return_windows_as_they_are_and_frames_of_rows(scaler, output):
    plain = sklearn.clone(scaler).fit(SIGNALS).transform(SIGNALS)
    framed = sklearn.clone(scaler).set_output(transform=output)
    for found in (framed.fit_transform(SIGNALS), framed.transform(SIGNALS)):
        assert type(found) is Windows
        assert (found.sampling_rate, found.rpm.tolist()) == (100, list(range(12)))
        np.testing.assert_array_equal(found, plain)
    table = framed.fit_transform(TABLE)
    assert type(table).__module__.startswith(output)
    assert list(table.columns) == list(TABLE.columns)
    if output == "pandas":
        assert table.index.equals(TABLE.index)


def test_a_global_setting_is_no_obstacle():
    with sklearn.config_context(transform_output="pandas"):
        for scaler in (BaselineScaler(), WindowScaler()):
            assert type(scaler.fit_transform(SIGNALS)) is Windows
        assert type(EnvelopeSpectra().fit_transform(SIGNALS)) is pd.DataFrame


@pytest.mark.parametrize("kind", [Pipeline, sklearn.pipeline.Pipeline])
def test_pipelines_of_windows_take_set_output(kind):
    pipe = kind([("scaler", BaselineScaler()), ("spectra", EnvelopeSpectra())]).set_output(transform="pandas")
    found = pipe.fit_transform(SIGNALS)
    assert found.shape == (12, 2 * 1667)
    assert found.columns[0] == "ch0_band0_bpfo_0x" or found.columns[0].startswith("ch0_band0_bpfo")
    lagged = kind([("scaler", BaselineScaler()), ("lags", LaggedWindows()), ("own", WindowScaler())])
    lagged.set_output(transform="pandas").fit(TABLE)
    assert lagged["lags"].channels_ == ["p", "T"]
    assert type(lagged.transform(TABLE)) is Windows
    features = kind([("scaler", BaselineScaler()), ("net", FeatureExtractor("process"))]).set_output(transform="pandas")
    long = Windows.of(rng.normal(size=(5, 2, 200)), sampling_rate=1)
    assert type(features.fit_transform(long)) is pd.DataFrame
