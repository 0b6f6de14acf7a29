"""The sensors that moved most, as an operator reads them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

_LEAST_SHARE = 0.1  # of the score: a sensor with less is not named, unless it is the first


def sensor_texts(told: pd.DataFrame, units: dict[str, str], n_sensors: int) -> list[str]:
    """One text a sample: the first sensors, each with direction, value, unit and usual range.

    Parameters
    ----------
    told : DataFrame
        What :func:`sktransfer.explain_sensors` says.
    units : dict of str to str
    n_sensors : int
        Named at most; one with less than a tenth of the score is named only if it is the first.
    """
    place = told.groupby("sample").cumcount()
    told = told[(place == 0) | ((place < n_sensors) & (told["share"] >= _LEAST_SHARE))]
    texts = [_text(row, units) for row in told.itertuples()]
    return pd.Series(texts).groupby(told["sample"].to_numpy()).agg("; ".join).tolist()


def _text(row: Any, units: dict[str, str]) -> str:
    unit = f" {units[row.sensor]}" if row.sensor in units else ""
    usual = "" if np.isnan(row.usual_low) else f", usual {row.usual_low:.4g} to {row.usual_high:.4g}"
    return f"{row.sensor} {row.direction} ({row.value:.4g}{unit}{usual})"
