"""Which scalars of the front end "vibration" passes to its features, and by what they are standardised.

Probing on four variants of its features, on the tasks of `development.py`.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from torch import nn

from benchmarks.windows.development import development_tasks
from benchmarks.windows.few_labels import Method, few_labels
from benchmarks.windows.ours import behind_front_end, front_end_once, shipped
from benchmarks.windows.peers import few_label_peers
from datasets.vibration.corpus import samples
from sktransfer import Backbone, FeatureExtractor, Inputs, LinearProbing, Source, TransferClassifier, Windows
from sktransfer.networks.registry import build_network

N_HEALTHY, SEED = 2000, 1  # simulated pairs of healthy windows; the corpus of the shipped file has another seed


def few_label_choices(folder: Path, draws: int = 5) -> pd.DataFrame:
    """Balanced accuracy by method and labels a class (down) and set (across), of peers and of the variants."""
    peers = {name: method for name, method in few_label_peers().items() if "Rocket" not in name}
    scores = few_labels(development_tasks(folder), peers | variants(), labels=(1, 5), draws=draws)
    sets = scores["task"].str.replace(r" \d.*", "", regex=True)
    found = scores.groupby(["labels", "method", sets], sort=False)["score"].mean().unstack()
    return found.assign(mean=found.mean(axis=1))


def variants() -> dict[str, Method]:
    """Without the scalars, with them standardised by two deviations, and with the level among them."""
    wide = _with_level()
    mean, over_machines, by_operation = statistics(wide)
    source = shipped("vibration").source
    n, n_passed = wide.n_features_out, wide.network["arguments"]["n_passed"]
    learned = np.arange(n) < n - 2 * n_passed
    level = np.isin(np.arange(n), [n - n_passed - 1, n - 1])
    weight = np.zeros((len(source.classes), n))
    for ours, shipped_ones in ((mean, source.feature_mean), (over_machines, source.feature_scale)):
        ours[learned] = shipped_ones[: learned.sum()]
    weight[:, learned] = source.weight[:, : learned.sum()]
    wide_source = partial(Source, bias=source.bias, classes=source.classes)

    def variant(kept: np.ndarray, scale: np.ndarray) -> Method:
        return _probing(wide, kept, wide_source(mean[kept], scale[kept], weight[:, kept]))

    mixed = np.where(learned, over_machines, by_operation)
    return {
        "learned features alone": variant(learned, over_machines),
        "and scalars, by their deviation over machines": variant(~level, over_machines),
        "and scalars, by their deviation in operation": variant(~level, mixed),
        "and scalars and level, by their deviation in operation": variant(learned | ~learned, mixed),
    }


def _with_level() -> Backbone:
    """The shipped backbone, behind its front end, with one more scalar among its features: the next is the level."""
    plain = behind_front_end(shipped("vibration"))
    arguments = plain.network["arguments"]
    network = build_network({**plain.network, "arguments": arguments | {"n_passed": arguments["n_passed"] + 1}})
    blocks = zip(plain.blocks, plain.copy_blocks(), strict=True)
    network.load_state_dict({f"{name}.{key}": v for name, block in blocks for key, v in block.state_dict().items()})
    return Backbone(network, plain.blocks, inputs=plain.inputs)


def statistics(backbone: Backbone) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each feature: mean and deviation over healthy simulated machines, deviation between windows of one of them."""
    made = samples(N_HEALTHY, SEED, faults=["healthy"], n_references=1)
    features = []
    for windows, rpm in ((made.windows, made.rpm), (made.reference[:, 0], made.reference_rpm[:, 0])):
        known = Windows.of(windows, sampling_rate=1.0, rpm=rpm / made.sampling_rate, orders=made.orders)
        features.append(_features(backbone, shipped("vibration").prepare(known)))
    return features[0].mean(axis=0), features[0].std(axis=0), (features[0] - features[1]).std(axis=0) / np.sqrt(2)


def _features(backbone: Backbone, numbers: np.ndarray) -> np.ndarray:
    return FeatureExtractor(backbone, standardize=False).fit_transform(numbers)


def _probing(backbone: Backbone, kept: np.ndarray, source: Source) -> Method:
    """Linear probing on the features `kept`."""
    identity = nn.Sequential(nn.Identity())
    plain = Backbone(identity, name="features", inputs=Inputs(n=int(kept.sum())), source=source)

    def prepare(windows):
        numbers = front_end_once(windows)
        return lambda X: _features(backbone, numbers(X))[:, kept]

    return Method(partial(_classifier, plain), prepare)


def _classifier(backbone: Backbone, random_state: int) -> TransferClassifier:
    return TransferClassifier(backbone, strategy=LinearProbing(), random_state=random_state)
