"""Faults of sensors, injected into healthy signals in units of the channel's healthy scale.

``t0`` is the onset, ``D`` the span of a drift (the samples after the onset if not given), ``m`` a size that grows with
the severity ``s`` in (0, 1], ``e`` white noise of unit variance; the sign of ``m`` is drawn. From the onset on:

=================  =============================================================  ==========================
fault              reading                                                        size
=================  =============================================================  ==========================
bias               x + m                                                          m = 0.5 * 20^s
gain               zero + g (x - zero)                                            log g = +-(0.3 + 1.2 s)
drift_linear       x + m (t - t0) / D                                             m = 1.5 * 8^s
drift_quadratic    x + m ((t - t0) / D)^2                                         m = 1.5 * 8^s
drift_walk         x + m / sqrt(D) * cumulative sum of e                          m = 1.5 * 6^s
stuck              x[t0]
stuck_noise        x[t0] + m e                                                    m = 0.03 * 10^s
spikes             x + m on a share p of the samples, sign drawn for each         m = 3 * 5^s, p = 0.01 .. 0.06
dropouts           runs of 1 to 12 samples read the value of a dead line          share 0.03 .. 0.4
noise_burst        x + m e during bursts, the first at t0                          m = 1 * 6^s
quantisation       q * round(x / q)                                               q = 0.5 * 8^s
delay              x[t - d]                                                       d = 2 .. 0.2 length
clipping           not above (or not below) c                                     c = +-(1.2 - 2 s)
cross_talk         x + k * other channel                                          |k| = 0.3 + 1.2 s
swapped            other channel, and the other reads this one
=================  =============================================================  ==========================
"""

from __future__ import annotations

import numpy as np

#: Faults whose reading is ``a * x + b`` with `a`, `b` known beforehand, so that they can act inside a control loop.
AFFINE_FAULTS = (
    "bias", "gain", "drift_linear", "drift_quadratic", "drift_walk", "stuck", "stuck_noise", "spikes", "dropouts",
    "noise_burst",
)  # fmt: skip
SENSOR_FAULTS = (*AFFINE_FAULTS, "quantisation", "delay", "clipping", "cross_talk", "swapped")


def affine(fault, length, onset, rng, severity, zero=0.0, span=None):
    """Coefficients of a fault that acts as ``a * x + b + hold * x[onset]``.

    Parameters
    ----------
    fault : str
        One of `AFFINE_FAULTS`.
    length, onset : int
        Samples of the record and the first faulty one.
    rng : numpy.random.Generator
    severity : float
        In (0, 1].
    zero : float, default=0.0
        Value about which a wrong gain turns, in healthy scales.
    span : int, optional
        Samples in which a drift reaches its size and bursts recur; the rest of the record if not given.

    Returns
    -------
    a, b, hold : ndarray of shape (length,)
    record : dict
        What was drawn.
    """
    a, b, hold = np.ones(length), np.zeros(length), np.zeros(length)
    after = length - onset
    span = max(after if span is None else span, 1)
    sign = rng.choice([-1.0, 1.0])
    s, tail = severity, slice(onset, None)
    since = np.arange(after) / span
    record = {}
    if fault == "bias":
        record["size"] = sign * 0.5 * 20**s
        b[tail] = record["size"]
    elif fault == "gain":
        record["size"] = gain = float(np.exp(sign * (0.3 + 1.2 * s)))
        a[tail], b[tail] = gain, zero * (1 - gain)
    elif fault in ("drift_linear", "drift_quadratic"):
        record["size"] = sign * 1.5 * 8**s
        b[tail] = record["size"] * since ** (1 if fault == "drift_linear" else 2)
    elif fault == "drift_walk":
        record["size"] = 1.5 * 6**s
        b[tail] = record["size"] / np.sqrt(span) * np.cumsum(rng.standard_normal(after))
    elif fault in ("stuck", "stuck_noise"):
        record["size"] = 0.03 * 10**s if fault == "stuck_noise" else 0.0
        a[tail], hold[tail] = 0.0, 1.0
        b[tail] = record["size"] * rng.standard_normal(after) if record["size"] else 0.0
    elif fault == "spikes":
        record["size"], record["share"] = 3 * 5**s, 0.01 + 0.05 * rng.random()
        b[tail] = _spikes(rng, after, **record)
    elif fault == "dropouts":
        record["size"], record["share"] = sign * rng.uniform(4, 12), 0.03 + 0.37 * s
        lost = _runs(rng, after, record["share"])
        a[tail], b[tail] = np.where(lost, 0.0, 1.0), np.where(lost, record["size"], 0.0)
    elif fault == "noise_burst":
        record["size"] = 6.0**s
        b[tail] = record["size"] * rng.standard_normal(after) * _bursts(rng, after, span)
    else:
        raise ValueError(f"affine got fault {fault!r}; it knows {', '.join(AFFINE_FAULTS)}.")
    return a, b, hold, record


def _spikes(rng, n, size, share):
    hit = rng.random(n) < share
    hit[rng.integers(n)] = True  # at least one
    return np.where(hit, size * rng.choice([-1.0, 1.0], n) * rng.uniform(0.7, 1.3, n), 0.0)


def _runs(rng, n, share):
    """Flags in runs of 1 to 12 samples that cover about `share` of `n` samples, at least one run."""
    flags = np.zeros(n, dtype=bool)
    for _ in range(max(1, round(share * n / 6.5))):
        at = int(rng.integers(n))
        flags[at : at + int(rng.integers(1, 13))] = True
    return flags


def _bursts(rng, n, span):
    """Ones in bursts of 0.1 to 0.4 of `span`, one to three in each `span` samples, the first at once."""
    flags = np.zeros(n)
    for k in range(max(1, round(rng.uniform(1, 3) * n / span))):
        at = int(rng.integers(n)) if k else 0
        flags[at : at + max(8, int(span * rng.uniform(0.1, 0.4)))] = 1.0
    return flags


def inject(x, fault, rng, severity, channel=None, onset=None, zero=0.0, span=None):
    """Give one channel of a healthy record a faulty sensor.

    Parameters
    ----------
    x : ndarray of shape (n_channels, length)
        Healthy record, each channel in units of its healthy scale (centre 0, standard deviation about 1).
    fault : str
        One of `SENSOR_FAULTS`.
    rng : numpy.random.Generator
    severity : float
        In (0, 1]; the table at the top of this file gives the sizes.
    channel : int, optional
        Drawn if not given.
    onset : int, optional
        First faulty sample; drawn from the first 80 % of the record if not given.
    zero : float, default=0.0
        Value about which a wrong gain turns, in healthy scales.
    span : int, optional
        Samples in which a drift reaches its size and bursts recur; the rest of the record if not given.

    Returns
    -------
    faulty : ndarray of shape (n_channels, length)
        A copy.
    record : dict
        fault, severity, channel, onset, and the size that was drawn.

    Raises
    ------
    ValueError
        If the fault is not known, the severity lies outside (0, 1], the onset outside the record, or the fault needs a
        second channel.

    Examples
    --------
    >>> import numpy as np
    >>> faulty, record = inject(np.zeros((2, 100)), "bias", np.random.default_rng(0), 1.0, channel=1, onset=40)
    >>> bool(np.all(faulty[1, 40:] == record["size"])), faulty[1, 39]
    (True, np.float64(0.0))
    """
    x = np.array(x, dtype=float)
    if fault not in SENSOR_FAULTS:
        raise ValueError(f"inject got fault {fault!r}; it knows {', '.join(SENSOR_FAULTS)}.")
    if not 0 < severity <= 1:
        raise ValueError(f"inject expected a severity in (0, 1], got {severity!r}.")
    n_channels, length = x.shape
    channel = int(rng.integers(n_channels)) if channel is None else channel
    onset = int(rng.integers(int(0.8 * length))) if onset is None else onset
    if not 0 <= onset < length:
        raise ValueError(f"inject expected an onset in 0 .. {length - 1}, got {onset!r}.")
    record = {"fault": fault, "severity": severity, "channel": channel, "onset": onset}
    if fault in AFFINE_FAULTS:
        a, b, hold, drawn = affine(fault, length, onset, rng, severity, zero, span)
        x[channel] = a * x[channel] + b + hold * x[channel, onset]
    else:
        drawn = _change(x, fault, rng, severity, channel, onset)
    return x, record | drawn


def _change(x, fault, rng, s, channel, onset):
    """Faults that need the signal itself or another channel; changes `x` in place."""
    own, tail = x[channel].copy(), slice(onset, None)
    if fault == "quantisation":
        size = 0.5 * 8**s
        x[channel, tail] = size * np.round(own[tail] / size)
        return {"size": size}
    if fault == "delay":
        size = round(2 + s * (0.2 * len(own) - 2)) if len(own) > 10 else 1
        x[channel, tail] = own[np.maximum(np.arange(onset, len(own)) - size, 0)]
        return {"size": size}
    if fault == "clipping":
        side = rng.choice([-1.0, 1.0])
        size = side * (1.2 - 2.0 * s)
        x[channel, tail] = side * np.minimum(side * own[tail], side * size)
        return {"size": size, "side": side}
    if len(x) < 2:
        raise ValueError(f"inject got one channel; {fault!r} needs a second one.")
    other = int(rng.choice([k for k in range(len(x)) if k != channel]))
    if fault == "cross_talk":
        size = rng.choice([-1.0, 1.0]) * (0.3 + 1.2 * s)
        x[channel, tail] += size * x[other, tail]
        return {"size": size, "other": other}
    x[channel, tail], x[other, tail] = x[other, tail].copy(), own[tail]
    return {"size": 0.0, "other": other}
