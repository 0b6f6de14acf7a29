"""Pictures of the faults: ``python -m datasets.process.pictures`` writes PNG files beside this one."""

from pathlib import Path

import matplotlib as mpl
import numpy as np

from datasets.process import EFFECTS, PROCESS_FAULTS, TAG_KINDS, samples
from datasets.sensor_faults import SENSOR_FAULTS

mpl.use("Agg")
from matplotlib import pyplot as plt
from PIL import Image

HERE = Path(__file__).resolve().parent
HEALTHY, FAULTY = "0.55", "#c0392b"


def choose(batch, kind):
    """The sample of a kind whose onset lies in the window and whose fault is plain to see but not extreme."""
    best, chosen = np.inf, None
    for k in range(len(batch)):
        if batch.fault[k] == kind and 20 <= batch.onset[k] <= 90:
            coarse = len(np.unique(batch.healthy[k][batch.channel[k]])) < 50
            own, other = (batch.effect_sizes[k][tag] for tag in (batch.channel[k], beside(batch, k)))
            miss = abs(np.log(max(own, 0.01) / 2.5)) + (not 0.7 < other < 6) + coarse
            if miss < best:
                best, chosen = miss, k
    return chosen


def beside(batch, k):
    """Another tag that shows the fault: a controller's output beside a measurement, and the reverse."""
    sizes = batch.effect_sizes[k].copy()
    is_output = batch.tag_kinds[k] == len(TAG_KINDS) - 1
    sizes[is_output == is_output[batch.channel[k]]] = -1
    return int(np.argmax(sizes))


def draw_tag(axes, batch, k, tag, title):
    """Faulty and healthy path of one tag in healthy standard deviations."""
    centre, scale = batch.baseline(k)
    for path, colour, width in ((batch.healthy[k], HEALTHY, 1.6), (batch.windows[k], FAULTY, 0.9)):
        axes.plot((path[tag] - centre[tag]) / scale[tag], color=colour, linewidth=width)
    axes.axvline(batch.onset[k], color="k", linewidth=0.6, linestyle=":")
    what = TAG_KINDS[batch.tag_kinds[k][tag]]
    axes.set_title(f"{title}{what}: {EFFECTS[batch.effects[k][tag]]}", fontsize=7, loc="left", pad=2)
    axes.tick_params(labelsize=5, length=2, pad=1)


def sheet(batch, kinds, path, columns=3):
    """One contact sheet: two panels a fault, the tag at fault and another that shows it."""
    rows = -(-len(kinds) // columns)
    figure, axes = plt.subplots(rows, 2 * columns, figsize=(4.6 * columns, 1.45 * rows))
    flat = axes.reshape(-1, 2)
    for pair in flat[len(kinds) :]:
        for one in pair:
            one.axis("off")
    for pair, kind in zip(flat, kinds, strict=False):
        k = choose(batch, kind)
        name = kind.removeprefix("sensor_").replace("_", " ")
        draw_tag(pair[0], batch, k, batch.channel[k], f"{name.upper()}  ")
        draw_tag(pair[1], batch, k, beside(batch, k), "")
    figure.tight_layout(pad=0.3, w_pad=0.4, h_pad=0.5)
    figure.set_dpi(76)
    figure.canvas.draw()
    picture = Image.fromarray(np.asarray(figure.canvas.buffer_rgba())).convert("RGB")
    picture.quantize(16).save(path, optimize=True)
    plt.close(figure)


def main():
    batch = samples(1536, seed=7, length=200, n_tags=(6, 14), shares=(0.0, 0.6, 0.4), keep_healthy=True)
    sheet(batch, PROCESS_FAULTS, HERE / "process_faults.png")
    sheet(batch, [f"sensor_{kind}" for kind in SENSOR_FAULTS], HERE / "sensor_faults.png")


if __name__ == "__main__":
    main()
