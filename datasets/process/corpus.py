"""Windows of random plants, healthy and faulty, each with healthy rows of the same plant.

::

    plant --> warm-up --> reference rows --+--> healthy twin -----------> window without the fault
                                           +--> faulty twin (same noise) -> window        effect = difference

Sample `i` depends on the seed and on `i` alone. Samples of one block of `BLOCK` consecutive indices share the number of
reference rows and of rows between reference and window, and run through the time loop together.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields

import numpy as np

from datasets.process.effects import effects
from datasets.process.engine import Network, slow_down
from datasets.process.faults import PROCESS_FAULTS, ActingFaults, draw_process_fault, draw_sensor_fault
from datasets.process.named import NAMED
from datasets.process.plant import random_plant
from datasets.process.signals import Outside, outside
from datasets.process.tags import rows_of_tags, to_raw
from datasets.process.tuning import log_uniform
from datasets.sensor_faults import SENSOR_FAULTS, inject

BLOCK = 64
NAMED_SHARE = 0.12  # of the plants, where the asked number of tags allows them
WARM_UP = 150  # rows before the reference
FAMILIES = ("healthy", "process", "sensor")
#: Every kind of fault, "healthy" first.
FAULTS = ("healthy", *PROCESS_FAULTS, *(f"sensor_{kind}" for kind in SENSOR_FAULTS))


@dataclass
class Samples:
    """Windows with all that is known of them; every field has one entry a sample."""

    windows: list = field(default_factory=list)  # (n_tags, length) float32, raw units
    references: list = field(default_factory=list)  # (n_tags, n_reference) float32, raw units, healthy
    healthy: list = field(default_factory=list)  # (n_tags, length) float32, the window without the fault
    fault: list = field(default_factory=list)  # one of FAULTS
    family: list = field(default_factory=list)  # one of FAMILIES
    severity: list = field(default_factory=list)  # 0 healthy, else in (0, 1]
    channel: list = field(default_factory=list)  # tag at fault, -1 healthy
    onset: list = field(default_factory=list)  # first faulty sample of the window; negative before it; length: never
    effects: list = field(default_factory=list)  # (n_tags,) index into EFFECTS
    effect_sizes: list = field(default_factory=list)  # (n_tags,) root mean square in healthy standard deviations
    tag_kinds: list = field(default_factory=list)  # (n_tags,) index into TAG_KINDS
    plant: list = field(default_factory=list)  # "network", or the name of a small plant
    index: list = field(default_factory=list)  # number of the sample

    def __len__(self):
        return len(self.windows)

    def extend(self, other):
        """Append the samples of `other`."""
        for f in fields(self):
            getattr(self, f.name).extend(getattr(other, f.name))

    def baseline(self, k):
        """Centre and scale, each of shape (n_tags,), of the healthy rows of sample `k`; scale 1 where nothing moved."""
        rows = self.references[k].astype(np.float64)
        scale = rows.std(axis=1)
        return rows.mean(axis=1), np.where(scale > 1e-7 * np.abs(rows).max(axis=1), scale, 1.0)

    def scaled(self, k):
        """Window `k` in healthy standard deviations, shape (n_tags, length)."""
        centre, scale = self.baseline(k)
        return ((self.windows[k] - centre[:, None]) / scale[:, None]).astype(np.float32)


def samples(n, seed, length=200, n_tags=(5, 50), start=0, shares=(0.2, 0.5, 0.3), keep_healthy=False):
    """Samples ``start .. start + n - 1`` of the endless corpus of `seed`.

    Parameters
    ----------
    n, seed, start : int
        Number of samples, seed of the corpus and number of the first sample.
    length : int, default=200
        Samples of a window.
    n_tags : tuple of two int, default=(5, 50)
        Fewest and most tags of a plant.
    shares : tuple of three float, default=(0.2, 0.5, 0.3)
        Shares of healthy windows, process faults and sensor faults.
    keep_healthy : bool, default=False
        Whether `healthy` is filled.

    Returns
    -------
    Samples

    Examples
    --------
    >>> batch = samples(2, seed=0, length=100, n_tags=(5, 8))
    >>> len(batch), batch.windows[0].shape[1]
    (2, 100)
    """
    out = Samples()
    at = start
    while at < start + n:
        end = min((at // BLOCK + 1) * BLOCK, start + n)
        out.extend(_block(range(at, end), seed, length, n_tags, shares, keep_healthy))
        at = end
    return out


def _generator(seed, *key):
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def _block(indices, seed, length, n_tags, shares, keep_healthy):
    rng = _generator(seed, 0, indices[0] // BLOCK)
    n_reference, before = int(log_uniform(rng, 200, 1000)), int(log_uniform(rng, 10, 500))
    n_first, n_second = WARM_UP + n_reference, before + length
    rngs = [_generator(seed, 1, i) for i in indices]
    plants = [_draw_plant(r, n_tags) for r in rngs]
    slow_down(plants)
    signals = [outside(r, p, n_first + n_second) for r, p in zip(rngs, plants, strict=True)]
    network = Network(plants)
    first = network.run(*_side_by_side(signals, slice(0, n_first)))
    reference = [rows_of_tags(p, *own, WARM_UP) for p, own in zip(plants, _apart(network, first), strict=True)]
    plans = [
        _plan(r, p, rows.std(axis=1), before, n_second, length, shares)
        for r, p, rows in zip(rngs, plants, reference, strict=True)
    ]
    twin = network.twice()
    faults = [plan[2] for plan in plans]
    both = _side_by_side(signals + _with_faults(signals, faults, n_first), slice(n_first, None))
    paths = list(_apart(twin, twin.run(*both, ActingFaults(twin, faults, n_second))))
    out = Samples()
    for k, plant in enumerate(plants):
        healthy, faulty = (rows_of_tags(plant, *paths[k + h], 0) for h in (0, len(plants)))
        _add(out, rngs[k], plant, plans[k], reference[k], healthy, faulty, before, keep_healthy)
        out.plant.append(plant.name)
        out.index.append(indices[k])
    return out


def _draw_plant(rng, n_tags):
    fit = [build for build, most in NAMED.items() if n_tags[0] <= most - 1 and most <= n_tags[1]]
    if fit and rng.random() < NAMED_SHARE:
        return fit[rng.integers(len(fit))](rng)
    return random_plant(rng, int(rng.integers(n_tags[0], n_tags[1] + 1)))


def _side_by_side(signals, rows):
    return [
        np.concatenate([getattr(s, name)[rows] for s in signals], axis=1)
        for name in ("sources", "set_points", "white", "noise")
    ]


def _apart(network, path):
    """Measurements and controller outputs of each plant of a network."""
    measured, outputs = path
    return zip(
        np.split(measured, network.node_at[1:-1], axis=1), np.split(outputs, network.loop_at[1:-1], axis=1), strict=True
    )


def _with_faults(signals, faults, n_first):
    out = []
    for s, fault in zip(signals, faults, strict=True):
        if fault is not None and fault.source >= 0:
            sources = s.sources.copy()
            sources[n_first:, fault.source] += fault.profile
            s = Outside(sources, s.set_points, s.white, s.noise)
        out.append(s)
    return out


def _plan(rng, plant, sigma, before, n_rows, length, shares):
    """Family, kind and, unless it is injected afterwards, the fault itself."""
    family = FAMILIES[rng.choice(3, p=shares)]
    inside = rng.random() < 0.4
    onset = before + int(rng.uniform(0.05, 0.85) * length) if inside else before - int(log_uniform(rng, 1, before))
    severity = float(rng.uniform(0.02, 1.0))
    if family == "healthy":
        return family, "healthy", None, 0.0, n_rows
    if family == "sensor":
        kind = str(rng.choice(SENSOR_FAULTS))
        fault = draw_sensor_fault(rng, plant, sigma, kind, severity, onset, n_rows, length)
        return family, kind, fault, severity, onset
    fault = None
    while fault is None:
        kind = str(rng.choice(PROCESS_FAULTS))
        fault = draw_process_fault(rng, plant, sigma, kind, severity, onset, n_rows, length)
    return family, kind, fault, severity, onset


def _add(out, rng, plant, plan, reference, healthy, faulty, before, keep_healthy):
    family, kind, fault, severity, onset = plan
    scale = reference.std(axis=1)
    scale = np.where(scale > 1e-9, scale, 1.0)
    centre = reference.mean(axis=1)[:, None]
    channel = -1
    if family == "sensor" and fault is None:
        tags = np.flatnonzero(plant.tag_of < plant.n_nodes)  # the instruments
        z, record = inject(((faulty - centre) / scale[:, None])[tags], kind, rng, severity, onset=onset)
        faulty, channel = faulty.copy(), int(tags[record["channel"]])
        faulty[tags, onset:] = (z * scale[tags, None] + centre[tags])[:, onset:]
    window, twin = faulty[:, before:], healthy[:, before:]
    if fault is not None:
        at = fault.node if fault.loop < 0 else plant.n_nodes + fault.loop
        channel = int(np.flatnonzero(plant.tag_of == at)[0])
    labels, sizes = effects(window, twin, scale, onset - before, kind if family == "sensor" else "", channel)
    out.windows.append(to_raw(plant, window))
    out.references.append(to_raw(plant, reference))
    if keep_healthy:
        out.healthy.append(to_raw(plant, twin))
    out.fault.append(f"sensor_{kind}" if family == "sensor" else kind)
    out.family.append(family)
    out.severity.append(severity)
    out.channel.append(channel)
    out.onset.append(onset - before)
    out.effects.append(labels)
    out.effect_sizes.append(sizes)
    out.tag_kinds.append(np.where(plant.tag_of < plant.n_nodes, plant.kind[plant.tag_of % plant.n_nodes], 5))
