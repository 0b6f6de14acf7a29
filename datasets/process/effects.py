"""What a fault does to each tag inside the window, measured against the same run without the fault.

``e = (faulty - healthy) / scale`` over the part of the window after the onset, with the same noise in both runs and the
scale of the healthy reference. A straight line ``a + b x`` (``x`` from -1/2 to 1/2) is fitted to ``e``; ``r`` is the
standard deviation of what is left. In this order:

===================  ==================================================================================
none                 the root mean square of ``e`` is below 0.3
stuck                the faulty reading does not move, the healthy one does
spikes, dropout, noise burst, quantised, delayed, clipped, cross-talk, drift
                     the faulty sensor itself, by its kind, if the root mean square of ``e`` is above 0.1
transient            ``e`` was large and ends near zero
step up, step down   the level explains more than half of the power of ``e``, and the slope is small beside it
ramp up, ramp down   so does the slope
oscillation          the faulty path has a period (autocorrelation peak > 0.5) and 1.4 times the healthy spread
variance rise, fall  the spread of the detrended faulty path is above 1.2 or below 0.83 of the healthy one
altered              another path of about the same spread
===================  ==================================================================================
"""

from __future__ import annotations

import numpy as np

EFFECTS = (
    "none", "step up", "step down", "ramp up", "ramp down", "transient", "variance rise", "variance fall",
    "oscillation", "altered", "stuck", "spikes", "dropout", "noise burst", "quantised", "delayed", "clipped",
    "cross-talk", "drift",
)  # fmt: skip
_CODE = {name: code for code, name in enumerate(EFFECTS)}
_BY_SENSOR = {
    "stuck": "stuck", "stuck_noise": "stuck", "spikes": "spikes", "dropouts": "dropout", "noise_burst": "noise burst",
    "quantisation": "quantised", "delay": "delayed", "clipping": "clipped", "cross_talk": "cross-talk",
    "swapped": "altered", "drift_walk": "drift",
}  # fmt: skip
SMALLEST = 0.3  # root mean square in healthy standard deviations
SMALLEST_SHAPE = 0.1  # the same for a faulty sensor whose path looks unlike a healthy one
_FEWEST = 6  # samples after the onset below which nothing is said


def effects(faulty, healthy, scale, onset, kind="", channel=-1):
    """Label of each tag.

    Parameters
    ----------
    faulty, healthy : ndarray of shape (n_tags, length)
        The window with and without the fault.
    scale : ndarray of shape (n_tags,)
        Healthy standard deviations.
    onset : int
        First faulty sample, relative to the window; may be negative.
    kind : str, default=""
        Kind of the sensor fault, if it is one.
    channel : int, default=-1
        Channel of the faulty sensor.

    Returns
    -------
    labels : ndarray of shape (n_tags,), int8
        Index into `EFFECTS`.
    sizes : ndarray of shape (n_tags,), float32
        Root mean square of ``e`` after the onset.
    """
    n_tags, length = faulty.shape
    first = max(onset, 0)
    labels, sizes = np.zeros(n_tags, dtype=np.int8), np.zeros(n_tags, dtype=np.float32)
    if length - first < _FEWEST:
        return labels, sizes
    f, h = faulty[:, first:] / scale[:, None], healthy[:, first:] / scale[:, None]
    e = f - h
    sizes[:] = np.sqrt(np.mean(e**2, axis=1))
    seen = np.flatnonzero(sizes >= SMALLEST)
    if len(seen):
        labels[seen] = _shapes(e[seen], f[seen], h[seen])
    if channel >= 0 and kind in _BY_SENSOR:
        seen_by_shape = kind != "drift_walk" and sizes[channel] >= SMALLEST_SHAPE
        labels[channel] = _CODE[_BY_SENSOR[kind] if seen_by_shape or sizes[channel] >= SMALLEST else "none"]
    return labels, sizes


def _shapes(e, f, h):
    n = e.shape[1]
    x = (np.arange(n) - (n - 1) / 2) / n
    a, b = e.mean(axis=1), e @ x / (x @ x)
    rest = e - a[:, None] - b[:, None] * x
    level, slope, left = a**2, b**2 / 12, rest.var(axis=1)
    straight = level + slope > left
    ramp = (np.abs(b) > 1.3 * np.abs(a)) | ((np.abs(b) > 0.5 * np.abs(a)) & (slope > 4 * left))
    codes = np.where(ramp, np.where(b > 0, _CODE["ramp up"], _CODE["ramp down"]), _CODE["step up"])
    codes = np.where(~ramp & (a < 0), _CODE["step down"], codes)
    codes = np.where(straight, codes, _CODE["altered"])
    spread_f, spread_h = detrend(f).std(axis=1), detrend(h).std(axis=1)
    wavy = ~straight
    codes[wavy & (spread_f > 1.2 * spread_h)] = _CODE["variance rise"]
    codes[wavy & (spread_f < 0.83 * spread_h)] = _CODE["variance fall"]
    for k in np.flatnonzero(wavy & (spread_f > 1.4 * spread_h)):
        if periodic(f[k]):
            codes[k] = _CODE["oscillation"]
    width = max(2, n // 12)
    smooth = np.abs(np.add.reduceat(e, np.arange(0, n - width + 1, width), axis=1) / width)
    top, end = smooth.max(axis=1), smooth[:, -2:].max(axis=1)
    gone = (end < 0.3 * top) & (top > np.sqrt(left)) & (e[:, -2 * width :].std(axis=1) < 0.35 * top)
    codes[gone & (codes != _CODE["oscillation"])] = _CODE["transient"]
    still = (np.ptp(f, axis=1) < 1e-9) & (np.ptp(h, axis=1) > 1e-6)
    codes[still] = _CODE["stuck"]
    return codes


def detrend(x):
    """Rows of `x` without their straight line."""
    n = x.shape[1]
    t = (np.arange(n) - (n - 1) / 2) / n
    x = x - x.mean(axis=1, keepdims=True)
    return x - (x @ t / (t @ t))[:, None] * t


def periodic(x):
    """Whether a path repeats itself: its autocorrelation has a peak above 0.5 after it has been negative."""
    x = detrend(x[None])[0]
    n = len(x)
    spectrum = np.abs(np.fft.rfft(x, 2 * n)) ** 2
    correlation = np.fft.irfft(spectrum)[: 2 * n // 3]
    if correlation[0] <= 0:
        return False
    correlation = correlation / correlation[0] * n / (n - np.arange(len(correlation)))
    below = np.flatnonzero(correlation < 0)
    return bool(len(below) and correlation[below[0] :].max() > 0.5)
