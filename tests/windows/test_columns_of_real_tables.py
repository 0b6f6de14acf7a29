"""Whole tables of measurements: what of them looks like labels, ids and times, and that no signal does."""

import warnings
from pathlib import Path

import pandas as pd
import pytest

from sktransfer import DataQualityWarning, SlidingWindows

FOLDER = Path(__file__).resolve().parents[2].parent / "shared" / "data"
NO_SIGNALS = {
    "ai4i2020/ai4i2020.csv": {"UDI", "Machine failure"},
    "batadal/batadal.csv.gz": {"ATT_FLAG"},
    "cmapss-fd001-fd003/cmapss.csv.gz": {"unit", "cycle"},
    "cnc-mill-tool-wear/cnc_mill.csv.gz": {"experiment"},
    "cstr-tanks-simulated/cstr_acf_7domains.csv.gz": {"fault"},
    "cstr-tanks-simulated/cstr_acf_shift_grid.csv.gz": {"fault"},
    "cwru-12k/index.csv": {"fault_mil"},
    "cwru-features/features.csv.gz": {"fault_size"},
    "fan-accelerometer/accelerometer.csv.gz": set(),
    "gas-sensor-drift/gas_drift_8batches.csv.gz": {"batch"},
    "gas-turbine-emissions/gas_turbine.csv.gz": set(),
    "hit-sm-mfs-bearing/index.csv": set(),
    "motors-smartphone-vibration/records.csv": {"record"},
    "motors-smartphone-vibration/samples.csv.gz": {"record"},
    "secom/secom.csv.gz": {"fail"},
    "skab/skab.csv.gz": {"anomaly", "changepoint"},
    "tep-braatz/test.csv.gz": {"fault", "sample", "faulty"},
    "tep-braatz/train.csv.gz": {"fault", "sample"},
}


@pytest.mark.parametrize("name", NO_SIGNALS)
def test_what_is_no_signal_is_said_and_signals_are_quiet(name):
    path = FOLDER / name
    if not path.exists():
        pytest.skip(f"needs {name} of the benchmark data")
    table = pd.read_csv(path, nrows=60_000).select_dtypes("number").dropna(axis=1, how="all").ffill().bfill()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DataQualityWarning)
        SlidingWindows(16).cut(table)
    texts = [str(one.message) for one in caught]
    assert len(texts) == bool(NO_SIGNALS[name])
    for text in texts:
        assert f"the columns {[key for key in table if key in NO_SIGNALS[name]]} became channels" in text
    signals = table.drop(columns=list(NO_SIGNALS[name]))
    with warnings.catch_warnings():
        warnings.simplefilter("error", DataQualityWarning)
        SlidingWindows(16).cut(signals)
