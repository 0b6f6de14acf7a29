"""The methods of this package, by row of the table.

Each function returns a dict of named methods in the form that the row's protocol takes. What is chosen here was chosen
on other rows than the scored ones: `python -m benchmarks.windows.choices` prints the evidence.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, LeaveOneGroupOut
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from benchmarks.windows.bearings import LABELS, ByBearing
from benchmarks.windows.contrasts import contrasts, pretrained
from benchmarks.windows.few_labels import Method
from benchmarks.windows.peers import forest
from sktransfer import (
    Backbone,
    BaselineScaler,
    FeatureExtractor,
    FromScratch,
    Inputs,
    LinearHead,
    LinearProbing,
    TransferClassifier,
    load_backbone,
)
from sktransfer.networks.registry import build_network
from sktransfer.preprocessing.envelope_spectra import N_NUMBERS

PULLS = (0.01, 0.1, 1.0, 10.0, 100.0)
N_SEEDS = 5  # of pretraining on simulated contrasts
EPOCHS = 60  # of fine-tuning with few labels, for time; from scratch: as many as the estimator takes by itself


@cache
def shipped(name: str) -> Backbone:
    """A shipped backbone, read once."""
    return load_backbone(name)


def untrained(name: str, random_state: int) -> Backbone:
    """The network of a shipped backbone with the weights that its constructor draws: the same network from scratch."""
    backbone = shipped(name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(random_state)
        network = build_network(backbone.network)
    return Backbone(network, backbone.blocks, name=f"{name}, untrained", inputs=backbone.inputs)


def source_head(windows, classes=LABELS) -> np.ndarray:
    """Most probable of `classes` by the source head of "vibration" alone: nothing is fitted."""
    backbone = shipped("vibration")
    features = FeatureExtractor(backbone).fit(windows).transform(windows)
    outputs = features @ backbone.source.weight.T + backbone.source.bias
    places = [list(backbone.source.classes).index(kind) for kind in classes]
    return np.array(classes)[outputs[:, places].argmax(axis=1)]


def zero_shot() -> dict[str, Callable]:
    """For `bearings.zero_shot`: fitted classifiers, or functions of windows to "inner", "outer", "ball"."""
    return {"vibration, source head": source_head}


@cache
def head_alone() -> Backbone:
    """The source head of "vibration" behind features that are already there: probing without the network below."""
    identity = nn.Sequential(nn.Identity())
    inputs = Inputs(n=shipped("vibration").n_features_out)
    return Backbone(identity, name="vibration, features", inputs=inputs, source=shipped("vibration").source)


def features_of(windows) -> np.ndarray:
    """Frozen features of "vibration"."""
    return FeatureExtractor(shipped("vibration"), standardize=False).fit_transform(windows)


def probing(random_state: int) -> TransferClassifier:
    """The frozen network, its head solved with a penalty towards the source head, which is obeyed; on its features."""
    head = LinearHead(init="source")  # labels of other bearings than the scored ones: scalars that pass would name them
    return TransferClassifier(head_alone(), head=head, strategy=LinearProbing(), random_state=random_state)


def probing_by_bearing(random_state: int) -> GridSearchCV:
    """The same, alpha chosen with bearings held out: windows of one bearing say nothing of the next."""
    return alpha_by_bearing(probing(random_state))


def alpha_by_bearing(classifier: TransferClassifier) -> GridSearchCV:
    """A search for the alpha that leaves one group out, the size of the fault."""
    strategies = {"strategy": [LinearProbing(alpha=alpha) for alpha in PULLS]}
    return GridSearchCV(classifier, strategies, cv=LeaveOneGroupOut(), scoring="balanced_accuracy")


def fine_tuned(random_state: int) -> TransferClassifier:
    """The default strategy: the head is solved, then everything is fine-tuned."""
    return TransferClassifier(shipped("vibration"), random_state=random_state)


def from_scratch(random_state: int) -> TransferClassifier:
    """The same network behind the same front end without what it learned, trained as networks are from scratch."""
    return TransferClassifier(FromScratch.like(shipped("vibration")), random_state=random_state)


def unfitted(random_state: int) -> FunctionClassifier:
    """What the source head says, whatever the labels."""
    return FunctionClassifier()


class FunctionClassifier(ClassifierMixin, BaseEstimator):
    """The source head of "vibration" as a classifier that learns nothing."""

    def fit(self, X, y):
        """Keep the classes."""
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        """Most probable class of each window."""
        return source_head(X, tuple(self.classes_))


def end_to_end() -> dict[str, Any]:
    """For `bearings.end_to_end`: random_state -> classifier of windows."""
    return {
        "vibration, source head": unfitted,
        "vibration, probing, alpha by bearing": ByBearing(probing_by_bearing, features_of, groups=True),
        "vibration, probing": ByBearing(probing, features_of),
        "vibration, fine-tuned": fine_tuned,
        "vibration from scratch": from_scratch,
    }


class OneLabel(BaseEstimator):
    """A classifier of one of three labels, or of none of them, as the multi-label model that the protocol asks for."""

    def __init__(self, classifier) -> None:
        self.classifier = classifier

    def fit(self, X, Y, **extra):
        """Fit on the label of each row of `Y`, (n, 3) of 0 and 1."""
        Y = np.asarray(Y)
        y = np.where(Y.any(axis=1), np.array(LABELS)[Y.argmax(axis=1)], "none")
        self.classifier_ = self.classifier.fit(X, y, **extra)
        return self

    def predict_proba(self, X) -> np.ndarray:
        """Probability of each label, (n, 3)."""
        found = self.classifier_.predict_proba(X)
        return found[:, [list(self.classifier_.classes_).index(label) for label in LABELS]]


def on_windows() -> dict[str, Any]:
    """For `bearings.on_windows`: random_state -> multi-label classifier of windows."""

    def by_bearing(random_state: int) -> OneLabel:
        return OneLabel(probing_by_bearing(random_state))

    def source(random_state: int) -> OneLabel:
        return OneLabel(probing(random_state).set_params(strategy=LinearProbing(alpha=np.inf)))

    return {
        "vibration, probing, alpha by bearing": ByBearing(by_bearing, features_of, groups=True),
        "vibration, probing": ByBearing(lambda random_state: OneLabel(probing(random_state)), features_of),
        "vibration, source head": ByBearing(source, features_of),
    }


def on_features() -> dict[str, Callable]:
    """For `bearings.on_features`: random_state -> multi-label classifier of the 20 features.

    The splits go through five pretraining seeds in turn.
    """

    def probing(random_state: int, alpha: float | str = "auto") -> TransferClassifier:
        backbone = pretrained(random_state % N_SEEDS)
        return TransferClassifier(backbone, strategy=LinearProbing(alpha=alpha), random_state=random_state)

    def by_bearing(random_state: int) -> OneLabel:
        return OneLabel(alpha_by_bearing(probing(random_state)))

    return {
        "simulated contrasts, probing, alpha by bearing": ByBearing(by_bearing, contrasts, groups=True),
        "simulated contrasts, probing": ByBearing(lambda seed: OneLabel(probing(seed)), contrasts),
        "simulated contrasts, source head": ByBearing(lambda seed: OneLabel(probing(seed, np.inf)), contrasts),
        "random forest on the contrasts": ByBearing(forest, contrasts),
    }


# ---- few labels


def front_end_once(source: np.ndarray) -> Callable:
    """For `Method.prepare`: the front end runs once a task and not once a fit."""
    return shipped("vibration").prepare


def behind_front_end(backbone: Backbone) -> Backbone:
    """The backbone for what its front end returns."""
    plain = dataclasses.replace(backbone.inputs, front_end=None, sampling_rate=None, shape=(None, N_NUMBERS))
    return backbone.describe(inputs=plain)


def few_labels() -> dict[str, object]:
    """For `few_labels.few_labels`: a `Method` each."""
    plain = behind_front_end(shipped("vibration"))

    def frozen(random_state: int) -> TransferClassifier:
        return TransferClassifier(plain, strategy=LinearProbing(), random_state=random_state)

    def tuned(random_state: int) -> TransferClassifier:
        return TransferClassifier(plain, max_epochs=EPOCHS, random_state=random_state)

    def scratch(random_state: int) -> TransferClassifier:
        return TransferClassifier(FromScratch.like(plain), random_state=random_state)

    def random_weights(random_state: int) -> TransferClassifier:
        """What fine-tuning does with weights that learned nothing: the head is solved on random features."""
        network = behind_front_end(untrained("vibration", random_state))
        return TransferClassifier(network, max_epochs=EPOCHS, random_state=random_state)

    return {
        "vibration, probing": Method(frozen, front_end_once),
        "vibration, fine-tuned": Method(tuned, front_end_once),
        "vibration from scratch": Method(scratch, front_end_once),
        "vibration of random weights, fine-tuned": Method(random_weights, front_end_once),
        "process tags + logistic regression": Method(tag_logistic, tags_once),
    }


def tag_logistic(random_state: int):
    """A logistic regression on standardised features."""
    return make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))


def tags_once(source: np.ndarray) -> Callable:
    """For `Method.prepare`: windows scaled by the source's, then what "process" says of each channel."""
    scaler = BaselineScaler().fit(np.asarray(source))
    extractor = FeatureExtractor(shipped("process"), block="tag")
    return lambda X: extractor.fit_transform(scaler.transform(np.asarray(X)))


def throughput() -> dict[str, Callable]:
    """For `throughput.throughput`: windows (n, 1, 2048) -> frozen features."""
    from sktransfer import Windows

    def vibration(X):
        known = Windows.of(X, sampling_rate=12_000, rpm=1797, orders=[3.5848, 5.4152, 2.3568, 0.39828])
        return FeatureExtractor(shipped("vibration"), device="cpu").fit_transform(known)

    def process(X):
        return FeatureExtractor(shipped("process"), device="cpu").fit_transform(X)

    return {"vibration, frozen features": vibration, "process, frozen features": process}
