"""Faulty rows among those that are called healthy, with and without `fault_share`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from benchmarks.detection.tep import EVERY, MODES, N_FAULTS, UNDETECTABLE
from benchmarks.tasks import tep_mode
from sktransfer import BaselineScaler, TransferDetector

SHARES = (0.0, 0.01, 0.05, 0.1)
RATE = 0.01


def shares(folder: Path, draws: int) -> Iterator[pd.DataFrame]:
    """Tennessee Eastman modes: rows of one fault, another one a draw, in place of healthy rows of the first half.

    The rows of the fault come one after the other, as an incident that nobody noticed. Scores are of the second halves.
    """
    rows = {mode: tep_mode(folder, mode) for mode in MODES}
    found = []
    for share in SHARES:
        for trim, method in [*((trim, "standard") for trim in sorted({0.0, 0.05, share})), (share, "robust")]:
            table = pd.DataFrame(
                [_one(*rows[mode], share, trim, method, draw) for mode in MODES for draw in range(draws)]
            )
            row = {"faulty %": f"{100 * share:g}", "fault_share": trim, "scaled": method}
            row |= {name: f"{table[name].mean():.3f} ± {_over_draws(table[name], draws):.3f}" for name in table}
            found.append(row)
    yield pd.DataFrame(found).set_index("faulty %")


def _over_draws(values: pd.Series, draws: int) -> float:
    return values.to_numpy().reshape(len(MODES), draws).mean(axis=0).std()


def _one(
    X: np.ndarray, fault: np.ndarray, first: np.ndarray, share: float, trim: float, method: str, draw: int
) -> dict[str, float]:
    rng = np.random.default_rng(draw)
    kind = rng.choice([number for number in range(1, N_FAULTS + 1) if number not in UNDETECTABLE])
    fitted = np.flatnonzero(first & (fault == 0))
    incident = np.flatnonzero(first & (fault == kind))[: round(share * len(fitted))]
    at = rng.integers(0, len(fitted) - len(incident) + 1)
    fitted = np.r_[fitted[:at], incident, fitted[at + len(incident) :]]
    scored = np.flatnonzero(~first)[::EVERY]
    scaler = BaselineScaler(method=method).fit(X[fitted])
    detector = TransferDetector(false_alarm_rate=RATE, fault_share=trim).fit(scaler.transform(X[fitted]))
    distance = -detector.score_samples(scaler.transform(X[scored]))
    alarm, of = distance > -detector.offset_, fault[scored]
    usual = distance[of == 0]
    kinds = [number for number in np.unique(of) if number]
    areas = {number: _auc(usual, distance[of == number]) for number in kinds}
    return {
        "AUC": float(np.mean([*areas.values()])),
        "AUC of that fault": areas[kind] if kind in areas else float("nan"),
        "faulty rows that alarm": float(np.mean([alarm[of == number].mean() for number in kinds])),
        "healthy rows that alarm": float(alarm[of == 0].mean()),
    }


def _auc(usual: np.ndarray, own: np.ndarray) -> float:
    return roc_auc_score(np.r_[np.zeros(len(usual)), np.ones(len(own))], np.r_[usual, own])
