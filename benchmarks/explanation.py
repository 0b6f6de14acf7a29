"""Which sensor moved: `explain_sensors` beside permutation and SHAP, on simulated plants whose tag at fault is known.

    python -m benchmarks.explanation [--plants 8] [--seeds 61001 61002 61003 61004 61005]

Plants of 12 tags, windows of 60 samples, healthy rows of the same plant alone; seeds that no other table, no choice and
no pretraining used. Hits: the tag at fault has the largest, or one of the three largest, effects.

plants     process and sensor faults of `datasets/process`, half of which are slight or hidden by the loops
injected   sensors of healthy windows: stuck, bias, drift and spikes of 1, 3 and 5 healthy deviations (of every
           other seed 2, 4 and 6)

Detectors: `TransferDetector` behind a `BaselineScaler`, all defaults: "process", the statistics of windows, and rows,
of which every fourth of the window is explained and the effects are averaged. Classifiers: the source head of "process"
(`SourceClassifier`), extra trees on statistics of windows and a probed "process", both fitted to injected faults of
other plants. All explain the same number (distance; log-odds of the class) and know healthy windows of the plant:

ours          explain_sensors by defaults; healthy windows as `baseline` of a classifier
sums          parts of the distance, summed by tag (detectors)
permutation   each tag takes its values from four healthy samples drawn at random: what that takes off, mean
SHAP          shap.PermutationExplainer over the tags, 100 masks (four permutations, there and back); a tag that is left
              out takes its values from the same four
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.pipeline import FunctionTransformer

from benchmarks.names import markdown
from benchmarks.windows.ours_process import shipped
from datasets.process import samples
from sktransfer import (
    BaselineScaler,
    LinearProbing,
    SourceClassifier,
    TransferClassifier,
    TransferDetector,
    explain_sensors,
    make_pipeline,
)
from sktransfer.windows.window_statistics import window_statistics

N_TAGS, LENGTH = 12, 60
KINDS = ("stuck", "bias", "drift", "spikes")
SIZES = (1, 2, 3, 4, 5, 6)
N_HEALTHY = 4  # samples that permutation and SHAP put in
N_MASKS = 100  # of SHAP
Score = Callable[[np.ndarray], np.ndarray]  # samples to evidence


def healthy_windows(reference: np.ndarray) -> np.ndarray:
    starts = range(0, reference.shape[1] - LENGTH + 1, 10)
    return np.stack([reference[:, start : start + LENGTH] for start in starts])


def injected(window: np.ndarray, scale: np.ndarray, rng: np.random.Generator, kind: str, size: float) -> Any:
    """A healthy window with a faulty sensor, and which."""
    window, tag, onset = window.copy(), int(rng.integers(N_TAGS)), int(rng.integers(5, 40))
    step, n = rng.choice([-1, 1]) * size * scale[tag], LENGTH - onset
    if kind == "stuck":
        window[tag, onset:] = window[tag, onset] + step
    elif kind == "spikes":
        hit = rng.random(n) < 0.06
        hit[rng.integers(n)] = True
        window[tag, onset:] += hit * np.abs(step) * rng.choice([-1, 1], n)
    else:
        window[tag, onset:] += step * (1 if kind == "bias" else np.linspace(0, 1, n))
    return window, tag


def cases(seed: int, n_plants: int) -> Iterator[dict[str, Any]]:
    """Windows whose tag at fault is known, each with the healthy rows of its plant."""
    rng = np.random.default_rng(seed)
    batch = samples(n_plants, seed=seed, length=LENGTH, n_tags=(N_TAGS, N_TAGS), shares=(0, 0.625, 0.375))
    for i in range(n_plants):
        found = {"set": "plants", "kind": batch.family[i], "size": float(batch.effect_sizes[i][batch.channel[i]])}
        yield found | {"reference": batch.references[i], "window": batch.windows[i], "tag": batch.channel[i]}
    sizes = SIZES[(seed + 1) % 2 :: 2]
    sound = samples(len(KINDS) * len(sizes), seed=seed + 100, length=LENGTH, n_tags=(N_TAGS, N_TAGS), shares=(1, 0, 0))
    for i in range(len(sound)):
        kind, size = KINDS[i % len(KINDS)], sizes[i // len(KINDS)]
        window, tag = injected(sound.windows[i], sound.references[i].std(axis=1), rng, kind, size)
        yield {
            **{"set": "injected", "kind": kind, "size": size},
            **{"reference": sound.references[i], "window": window, "tag": tag},
        }


def fault_classifiers(seed: int, n_plants: int = 12, n_each: int = 10) -> dict[str, Any]:
    """Classifiers of sensor faults that were put into windows of other plants, scaled by their healthy rows."""
    rng = np.random.default_rng(seed)
    sound = samples(n_plants, seed=seed + 200, length=LENGTH, n_tags=(N_TAGS, N_TAGS), shares=(1, 0, 0))
    X, y = [], []
    for reference in sound.references:
        windows, scale = healthy_windows(reference), reference.std(axis=1)
        scaler = BaselineScaler().fit(windows)
        for kind in ("normal", *KINDS):
            drawn = windows[rng.integers(len(windows), size=n_each)]
            if kind != "normal":
                drawn = np.stack([injected(one, scale, rng, kind, rng.uniform(1, 6))[0] for one in drawn])
            X.append(scaler.transform(drawn))
            y += [kind] * n_each
    trees = make_pipeline(FunctionTransformer(window_statistics), ExtraTreesClassifier(50, random_state=0))
    probed = TransferClassifier(shipped("process"), block="pooled", strategy=LinearProbing(), random_state=0)
    return {
        name: model.fit(np.concatenate(X), np.array(y))
        for name, model in {"extra trees on statistics": trees, "process, probed": probed}.items()
    }


def permutation(score: Score, asked: np.ndarray, healthy: np.ndarray) -> np.ndarray:
    """What healthy values in place of a tag's own take off, mean over the samples asked."""
    tag = np.eye(N_TAGS, dtype=bool).reshape(N_TAGS, 1, 1, N_TAGS, *[1] * (asked.ndim - 2))
    changed = np.where(tag, healthy[None, :, None], asked[None, None])
    scores = score(changed.reshape(-1, *asked.shape[1:])).reshape(N_TAGS, -1)
    return score(asked).mean() - scores.mean(axis=1)


def shapley(score: Score, asked: np.ndarray, healthy: np.ndarray) -> np.ndarray:
    """Mean SHAP values of the tags over the samples asked."""
    import shap

    effects = np.zeros(N_TAGS)
    for sample in asked:

        def masked(masks: np.ndarray, sample: np.ndarray = sample) -> np.ndarray:
            keep = np.asarray(masks, dtype=bool).reshape(len(masks), 1, N_TAGS, *[1] * (sample.ndim - 1))
            mixed = np.where(keep, sample, healthy).reshape(-1, *sample.shape)
            return score(mixed).reshape(len(masks), len(healthy)).mean(axis=1)

        explainer = shap.PermutationExplainer(masked, np.zeros((1, N_TAGS)), seed=0)
        effects += explainer(np.ones((1, N_TAGS)), max_evals=N_MASKS, silent=True).values[0]
    return effects


def ours(estimator: Any, asked: np.ndarray, **options: Any) -> np.ndarray:
    """Mean effects of `explain_sensors` over the samples asked."""
    found = explain_sensors(estimator, asked, n_segments=0, **options)
    return found.groupby("sensor")["effect"].mean()[[f"x{tag}" for tag in range(N_TAGS)]].to_numpy()


def explained(name: str, case: dict[str, Any], classifiers: dict[str, Any], seed: int) -> Iterator[tuple[str, Any]]:
    """Name of each method, and a call that returns the effects of the tags."""
    windows, rng = healthy_windows(case["reference"]), np.random.default_rng(seed)
    asked = case["window"][None].astype(np.float64)
    if name == "rows":
        windows, asked = case["reference"].T, asked[0].T[::4]
    healthy = windows[rng.choice(len(windows), N_HEALTHY, replace=False)].astype(np.float64)
    if name in DETECTORS:
        pipe = make_pipeline(BaselineScaler(), TransferDetector(DETECTORS[name](), false_alarm_rate=0.2)).fit(windows)

        def score(X: np.ndarray) -> np.ndarray:
            return -pipe.score_samples(X)

        def sums() -> np.ndarray:
            parts = pipe[-1].feature_contributions(pipe[0].transform(asked))
            return parts.reshape(len(parts), N_TAGS, -1).sum(axis=2).mean(axis=0)

        yield "ours", lambda: ours(pipe, asked)
        yield "sums", sums
    else:
        normal = "healthy" if name == SOURCE else "normal"
        model = SourceClassifier(shipped("process")) if name == SOURCE else classifiers[name]
        pipe = make_pipeline(BaselineScaler().fit(windows), model)
        of_normal = list(model.classes_).index(normal)
        first = pipe.predict_proba(asked)[0].copy()
        first[of_normal] = -1
        code = int(first.argmax())

        def score(X: np.ndarray) -> np.ndarray:
            own = pipe.predict_proba(X)[:, code]
            return np.log(own + 1e-4) - np.log1p(1e-4 - own)

        yield "ours", lambda: ours(pipe, asked, normal_label=normal, baseline=windows)
    yield "permutation", lambda: permutation(score, asked, healthy)
    yield "SHAP", lambda: shapley(score, asked, healthy)


SOURCE = "process, source head"
DETECTORS: dict[str, Callable[[], Any]] = {
    "process by tag": lambda: shipped("process"),
    "statistics of windows": lambda: None,
    "rows": lambda: None,
}
ESTIMATORS = {
    "plants": (*DETECTORS, SOURCE),
    "injected": (*DETECTORS, "extra trees on statistics", "process, probed"),
}


def hits(seed: int, n_plants: int) -> Iterator[dict[str, Any]]:
    """A row a case, estimator and method."""
    classifiers = fault_classifiers(seed)
    for number, case in enumerate(cases(seed, n_plants)):
        for name in ESTIMATORS[case["set"]]:
            for method, call in explained(name, case, classifiers, seed + number):
                began = time.process_time()
                effects = call()
                seconds = time.process_time() - began
                rank = int((effects > effects[case["tag"]]).sum())
                row = {"seed": seed, "set": case["set"], "kind": case["kind"], "size": case["size"]}
                row |= {"estimator": name, "method": method, "first": rank < 1, "among three": rank < 3}
                yield row | {"ms": 1000 * seconds / (LENGTH / 4 if name == "rows" else 1)}


def over_seeds(found: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Mean and spread over seeds of the hits, and the time of a sample."""
    means = found.groupby([*by, "seed"], sort=False)[["first", "among three", "ms"]].mean().groupby(by, sort=False)
    table = pd.DataFrame(index=means.mean().index)
    for name in ("first", "among three"):
        mean, spread = means[name].mean(), means[name].std()
        table[name] = [f"{m:.3f} ± {s:.3f}" for m, s in zip(mean, spread, strict=True)]
    table["ms a sample"] = means["ms"].mean().map("{:.1f}".format)
    return table.reset_index()


def report(found: pd.DataFrame) -> None:
    """Print all methods, then ours by what the fault is."""
    print(markdown(over_seeds(found, ["set", "estimator", "method"]).set_index("set")))
    mine = found[found["method"] == "ours"]
    plants = mine[mine["set"] == "plants"].copy()
    plants["effect on the tag"] = np.where(plants["size"] >= 1, "a deviation or more", "less")
    print(f"\n{markdown(over_seeds(plants, ['estimator', 'kind', 'effect on the tag']).set_index('estimator'))}")
    put_in = mine[mine["set"] == "injected"]
    for by in ("size", "kind"):
        print(f"\n{markdown(over_seeds(put_in, ['estimator', by]).set_index('estimator'))}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--plants", type=int, default=8)
    parser.add_argument("--seeds", type=int, nargs="+", default=[61001, 61002, 61003, 61004, 61005])
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    found = pd.DataFrame()
    for seed in options.seeds:
        found = pd.concat([found, pd.DataFrame(hits(seed, options.plants))], ignore_index=True)
        print(f"\nseeds {options.seeds[0]} to {seed}\n", flush=True)
        report(found)


if __name__ == "__main__":
    main()
