"""Draw one sheet per family of faults: ``python -m datasets.vibration.pictures [folder]``.

Each row is one fault: a short trace of the healthy machine and of the faulty one, and a spectrum of one second or more
with the lines where theory puts them.
"""

import sys
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import numpy as np
from scipy import signal

from datasets.vibration.drive import Motor
from datasets.vibration.geometry import Bearing
from datasets.vibration.machine import Machine
from datasets.vibration.motor_faults import pole_pass

HEALTHY, FAULTY, MARK = "#8a8a8a", "#1f5fa8", "#d9772b"
BPFO, BPFI, BSF, FTF = Bearing(9, 0.2, 0.0).orders()
MOTOR = Motor(line=50.0, poles=4, slip=0.03, bars=28)
RPM = MOTOR.rpm(1.0)
STEP, TWICE = pole_pass(MOTOR, RPM) * 60.0 / RPM, 100.0 * 60.0 / RPM  # in orders
TEETH, VANES = 31, 6


def multiples(name, order, n):
    """Return marks at the first n multiples of a line."""
    return {(f"{k}{name}" if k > 1 else name): k * order for k in range(1, n + 1)}


def sidebands(name, order, step, label="fr"):
    """Return marks at a line and one step beside it."""
    return {f"{name}-{label}": order - step, name: order, f"{name}+{label}": order + step}


SPOT, ROUGH = {"distributed": False}, {"distributed": True}
ENVELOPE, RAW = "squared envelope spectrum", "spectrum"
# Fault: turns shown, kind of spectrum, band of it (orders), marked lines, details of the record.
ROWS = {
    "inner": (4, ENVELOPE, (0, 14), {"fr": 1, **sidebands("BPFI", BPFI, 1), "2BPFI": 2 * BPFI}, SPOT),
    "outer": (4, ENVELOPE, (0, 14), multiples("BPFO", BPFO, 3), SPOT | {"position": 0.02}),
    "outer, distributed": (4, ENVELOPE, (0, 14), multiples("BPFO", BPFO, 3), ROUGH | {"position": 0.02}),
    "ball": (8, ENVELOPE, (0, 14), {"FTF": FTF, "BSF": BSF, "2BSF": 2 * BSF, "4BSF": 4 * BSF}, SPOT),
    "cage": (10, ENVELOPE, (0, 4), multiples("FTF", FTF, 5), SPOT),
    "lubrication": (8, ENVELOPE, (0, 14), {}, {}),
    "gear_wear": (2, RAW, (20, 70), {"mesh": TEETH, "2 mesh": 2 * TEETH}, {"depth": 0.7, "index": 0.8}),
    "gear_tooth": (5, ENVELOPE, (0, 14), multiples("fr", 1, 8), {}),
    "unbalance": (8, RAW, (0, 10), {"fr": 1}, {}),
    "misalignment": (8, RAW, (0, 10), multiples("fr", 1, 3), {}),
    "looseness": (8, RAW, (0, 10), multiples("fr", 1, 5), {}),
    "rub": (8, RAW, (0, 10), {"fr/2": 0.5, "fr": 1, "3fr/2": 1.5, "2fr": 2, "3fr": 3}, {"part": 2}),
    "broken_bar": (20, RAW, (0.7, 1.3), sidebands("fr", 1, STEP, "fp"), {}),
    "eccentricity": (8, RAW, (0, 10), {"fr": 1, **sidebands("2fl", TWICE, 1), "4fl": 2 * TWICE}, {}),
    "cavitation": (4, ENVELOPE, (0, 14), {"fr": 1, "vanes": VANES, "2 vanes": 12}, {"rate": 0.3, "by_vane": 0.8}),
    "vane": (4, RAW, (0, 14), {"fr": 1, **sidebands("vanes", VANES, 1), "2 vanes": 12}, {}),
}
SHEETS = {
    "bearing": ["inner", "outer", "outer, distributed", "ball", "cage", "lubrication"],
    "gear": ["gear_wear", "gear_tooth"],
    "rotor": ["unbalance", "misalignment", "looseness", "rub"],
    "motor": ["broken_bar", "eccentricity"],
    "pump": ["cavitation", "vane"],
}


def machine(fault):
    """Return the machine of a picture: the same geometry for all, quiet enough to see the fault."""
    fixed = {
        "bearing": Bearing(9, 0.2, 0.0, slip=0.002),
        "motor": MOTOR,
        "teeth": TEETH,
        "vanes": VANES,
        "n_channels": 1,
        "gain": np.ones(1),
        "offset": np.zeros(1),
        "full_scale": 1e3,
        "bits": 24,
    }
    rng = np.random.default_rng(11)
    return Machine.draw(rng, fault, sampling_rate=20_000.0, wander=2e-4, **fixed)


def spectrum(record, rate, kind):
    """Return orders of the shaft and amplitudes of a record, or of its squared envelope, two ndarrays."""
    if kind == ENVELOPE:
        # Five equal bands; the one whose envelope is the least Gaussian shows impacts best.
        edges = np.linspace(0.06, 0.94, 6)
        bands = [
            signal.sosfiltfilt(signal.butter(4, pair, "bandpass", output="sos"), record) for pair in pairwise(edges)
        ]
        best = max(bands, key=lambda band: np.mean(band**4) / np.mean(band**2) ** 2)
        record = np.abs(signal.hilbert(best)) ** 2
    window = signal.windows.hann(len(record))
    amplitude = np.abs(np.fft.rfft((record - record.mean()) * window)) * 2.0 / window.sum()
    return np.fft.rfftfreq(len(record), 1.0 / rate) * 60.0 / RPM, amplitude


def draw_row(axes, name):
    """Draw one fault into a row of two axes."""
    turns, kind, band, marks, details = ROWS[name]
    fault = name.split(",")[0]
    plant = machine(fault)
    common = {"seconds": 10.0 if fault == "broken_bar" else 3.0, "load": 1.0, "rpm": RPM}
    healthy = plant.record(np.random.default_rng(1), **common)[0]
    snr = -6.0 if fault == "broken_bar" else 6.0
    faulty = plant.record(np.random.default_rng(2), fault, 1.0, snr=snr, **common, **details)[0]
    n = int(turns * 60.0 / RPM * plant.sampling_rate)
    time = np.arange(n) / plant.sampling_rate * 1e3
    gap = 1.1 * np.ptp(faulty[:n]) / 2.0 + 1.1 * np.ptp(healthy[:n]) / 2.0
    axes[0].plot(time, healthy[:n] + gap, color=HEALTHY, lw=0.5)
    axes[0].plot(time, faulty[:n], color=FAULTY, lw=0.5)
    axes[0].set_title(name.replace("_", " "), fontsize=8, loc="left", pad=2)
    axes[0].set_xlim(0, time[-1])
    axes[0].set_yticks([])
    for record, colour in ((faulty, FAULTY), (healthy, HEALTHY)):
        order, amplitude = spectrum(record, plant.sampling_rate, kind)
        shown = (order >= max(band[0], 0.15)) & (order <= band[1])
        axes[1].plot(order[shown], amplitude[shown], color=colour, lw=0.7)
    top = axes[1].get_ylim()[1]
    axes[1].set_ylim(0, 1.25 * top)
    axes[1].set_xlim(*band)
    axes[1].set_yticks([])
    for place, (label, order) in enumerate(marks.items()):
        axes[1].axvline(order, color=MARK, lw=0.6, ls=":", ymax=0.82)
        height = (1.06, 1.15)[place % 2] if len(marks) > 3 else 1.08
        axes[1].text(order, height * top, label, color=MARK, fontsize=6, ha="center")
    axes[1].set_title(kind, fontsize=7, loc="right", pad=2)


def draw_sheet(family, folder):
    """Draw the sheet of a family and return its path."""
    import matplotlib
    from PIL import Image

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    names = SHEETS[family]
    figure, axes = plt.subplots(len(names), 2, figsize=(8.4, 1.35 * len(names) + 0.35), squeeze=False)
    for row, name in zip(axes, names, strict=True):
        draw_row(row, name)
        for axis in row:
            axis.tick_params(labelsize=6, length=2, pad=1)
            axis.spines[["top", "right", "left"]].set_visible(False)
    axes[-1, 0].set_xlabel("time, ms (grey: the same machine healthy)", fontsize=7)
    axes[-1, 1].set_xlabel("order, multiples of shaft speed", fontsize=7)
    figure.tight_layout(pad=0.4, h_pad=0.5)
    path = Path(folder) / f"{family}.png"
    buffer = BytesIO()
    figure.savefig(buffer, dpi=100)
    plt.close(figure)
    Image.open(buffer).convert("RGB").quantize(24, Image.Quantize.MAXCOVERAGE).save(
        path, optimize=True
    )  # few colours keep the file small
    return path


def main(arguments=None):
    arguments = sys.argv[1:] if arguments is None else arguments
    folder = Path(arguments[0]) if arguments else Path(__file__).parent
    for family in SHEETS:
        path = draw_sheet(family, folder)
        print(f"{path}: {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
