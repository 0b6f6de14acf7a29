"""A network for the 20 features of `cwru-features`, pretrained on simulated bearings.

::

    simulated window --> 20 features --> contrasts of the peaks --> MLP --> inner, outer, ball, none
    real segment     -------^

The features are those of arXiv 2509.22267 as the table's README describes them: moments of a second at 12 kHz, and the
largest amplitude of the envelope's spectrum (band of 500 to 6000 Hz) around five multiples of BPFO, BPFI and BSF. How
far around is not said there; within 5 % the amplitudes of the raw records agree with the table's (median ratio 1.00).
"none" are healthy machines and bearings whose orders are not those that were read, as at the far end of a shaft.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from datasets.vibration.corpus import samples
from sktransfer import Backbone, FromScratch, TransferClassifier

RATE = 12_000  # Hz; windows are a second long
BAND = 500, 5999  # Hz
TOLERANCE = 0.05
MULTIPLES = range(1, 6)
SEED, N_BATCHES, N_SAMPLES = 1000, 10, 600
SHARES = {"inner": 1.0, "outer": 1.0, "ball": 1.0, "healthy": 0.5}
FOREIGN = 0.25  # share of windows read at the orders of another bearing


def twenty_features(X: np.ndarray, rpm: np.ndarray, orders: np.ndarray) -> np.ndarray:
    """Root mean square, peak to peak, kurtosis, skewness, spectral amplitude, and 15 peaks of the envelope; (n, 20).

    Parameters
    ----------
    X : ndarray of shape (n, 12000)
    rpm : ndarray of shape (n,)
        1/min.
    orders : ndarray of shape (n, 4)
        BPFO, BPFI, BSF, FTF in multiples of the speed.
    """
    n = X.shape[1]
    spectrum, frequency = np.fft.fft(X, axis=1), np.fft.fftfreq(n, 1 / RATE)
    inside = (frequency >= BAND[0]) & (frequency <= BAND[1])
    envelope = np.abs(np.fft.ifft(np.where(inside, 2 * spectrum, 0), axis=1))
    amplitude = np.abs(np.fft.rfft(envelope - envelope.mean(axis=1, keepdims=True), axis=1)) * 2 / n
    standard = (X - X.mean(axis=1, keepdims=True)) / X.std(axis=1, keepdims=True)
    columns = [
        np.sqrt((X**2).mean(axis=1)),
        np.ptp(X, axis=1),
        (standard**4).mean(axis=1),
        (standard**3).mean(axis=1),
        np.abs(spectrum[:, : n // 2 + 1]).sum(axis=1) / n,
    ]
    places = np.arange(amplitude.shape[1]) * RATE / n
    for order in orders.T[:3]:
        for multiple in MULTIPLES:
            center = (multiple * order * rpm / 60)[:, None]
            columns.append(np.where(np.abs(places - center) <= TOLERANCE * center, amplitude, 0).max(axis=1))
    return np.column_stack(columns)


def contrasts(features: np.ndarray) -> np.ndarray:
    """What of the 20 features does not depend on gain and machine: logarithms of the peaks against each other; (n, 21).

    Each peak over the median peak; the largest peak of each part over that of the others; the median and the largest
    peak over the root mean square; the kurtosis.
    """
    features = np.asarray(features, dtype=np.float64)
    level, kurtosis, peaks = (np.log(part + 1e-9) for part in (features[:, [0]], features[:, [2]], features[:, 5:20]))
    middle, of_part = np.median(peaks, axis=1, keepdims=True), peaks.reshape(-1, 3, 5).max(axis=2)
    over_others = of_part - of_part.mean(axis=1, keepdims=True)
    highest = peaks.max(axis=1, keepdims=True)
    return np.hstack([peaks - middle, over_others, middle - level, highest - level, kurtosis]).astype(np.float32)


def simulated(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Features of 600 simulated windows of machines of one speed, and inner, outer, ball or none."""
    rng = np.random.default_rng([seed, 1])
    rpm = float(np.random.default_rng(seed).uniform(1500, 2000))
    made = samples(N_SAMPLES, seed, RATE, faults=SHARES, n_references=0, sampling_rate=float(RATE), rpm=rpm)
    label, orders = made.fault.copy(), made.orders.copy()
    foreign = rng.random(N_SAMPLES) < FOREIGN
    ratio = np.exp(rng.normal(0.0, 0.12, N_SAMPLES))
    ratio = np.where(np.abs(ratio - 1) < TOLERANCE + 0.01, 1.15, ratio)  # so near, it would be the same bearing
    orders[foreign] *= ratio[foreign, None]
    label[foreign | (label == "healthy")] = "none"
    return twenty_features(made.windows[:, 0].astype(np.float64), made.rpm, orders), label


@cache
def simulated_windows() -> tuple[np.ndarray, np.ndarray]:
    """Contrasts of 6,000 simulated windows, and their labels."""
    parts = [simulated(seed) for seed in range(SEED, SEED + N_BATCHES)]
    return contrasts(np.concatenate([x for x, _ in parts])), np.concatenate([label for _, label in parts])


@cache
def pretrained(random_state: int = 0) -> Backbone:
    """An MLP pretrained on the contrasts of 6,000 simulated windows."""
    X, y = simulated_windows()
    network = FromScratch(arguments={"hidden_layer_sizes": (64, 64)})
    return TransferClassifier(network, max_epochs=40, random_state=random_state).fit(X, y).backbone_
