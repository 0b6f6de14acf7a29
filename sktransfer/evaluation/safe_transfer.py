"""What both safe estimators share: candidates, what each loses on held-out rows, and the answer of those that are best.

::

    few labelled rows --> candidates --> losses of rows held out --> those within one standard error of the best
                                                                         |
                                             fitted to all labels; their answers averaged <--+
"""

from __future__ import annotations

import os
from numbers import Integral
from typing import Any

import joblib
import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils.validation import _check_n_features, check_is_fitted

from sktransfer.backbones.backbone import Backbone
from sktransfer.backbones.from_scratch import FromScratch
from sktransfer.backbones.persistence import load_backbone
from sktransfer.estimators.domain_steps import takes_domain
from sktransfer.estimators.transfer_classifier import TransferClassifier
from sktransfer.estimators.transfer_regressor import TransferRegressor
from sktransfer.evaluation.candidates import Candidate, default_candidates
from sktransfer.evaluation.held_out import (
    Labelled,
    answers,
    as_good_as_best,
    fit_candidate,
    held_out,
    mean_and_error,
    splits,
)
from sktransfer.evaluation.last_step import last_step
from sktransfer.utils.checksums import Checksummed
from sktransfer.utils.parameters import HasMethods, Interval, Options, StrOptions, invalid_parameter
from sktransfer.utils.random import draw_seed
from sktransfer.validation.domains import labelled_part, labelled_rows, source_and_target


class SafeTransfer(Checksummed, BaseEstimator):
    """Choose among candidates by rows held out, and answer with the best of them; a subclass says of what kind."""

    _parameter_constraints: dict[str, Any] = {
        "backbone": [Backbone, str, os.PathLike, None],
        "candidates": [dict, StrOptions({"default"})],
        "rule": [StrOptions({"average", "simplest"})],
        "cv": ["cv_object", StrOptions({"auto"})],
        "unlabelled_label": "no_validation",
        "target_domain": "no_validation",
        "memory": [str, HasMethods(["cache"]), None],
        "n_jobs": [Interval(Integral, 1, None, closed="left"), Options(Integral, {-1}), None],
        "random_state": ["random_state", np.random.Generator],
    }
    _is_regressor = False

    def _fit_safely(self: Any, X: Any, y: Any, sample_domain: Any, groups: Any) -> Any:
        for name in [key for key in self.__dict__ if key.endswith("_") and not key.startswith("_")]:
            delattr(self, name)
        self._validate_params()
        seed = draw_seed(self.random_state)
        data = self._data(X, y, sample_domain, groups)
        candidates = self._candidates(data, seed)
        folds = splits(type(self).__name__, self.cv, data)
        losses, seconds = self._losses(candidates, data, folds)
        chosen, self.report_ = self._choose(candidates, data, losses, seconds)
        fits = joblib.Parallel(n_jobs=self.n_jobs)(
            joblib.delayed(fit_candidate)(candidates[k], data, data.labelled) for k in chosen
        )
        self.chosen_ = [candidates[k].name for k in chosen]
        self.estimators_ = fits
        return self

    # ---- before anything is fitted

    def _data(self: Any, X: Any, y: Any, sample_domain: Any, groups: Any) -> Labelled:
        """Who is who among the rows."""
        name = type(self).__name__
        if y is None:
            raise ValueError(f"{name} requires y to be passed, but the target y is None.")
        X = self._check_rows(X, reset=True)
        n, y = X.shape[0], y if hasattr(y, "__len__") else np.asarray(y)
        if len(y) != n:
            raise ValueError(f"Found input variables with inconsistent numbers of samples: [{n}, {len(y)}] (X and y).")
        if sample_domain is None:
            ids, labelled, target = None, np.ones(n, dtype=bool), np.ones(n, dtype=bool)
        else:
            domains = source_and_target(name, sample_domain, n, self.target_domain)
            labelled, target = labelled_rows(name, y, domains, self.unlabelled_label), domains.target
            ids = domains.ids
        given = self._checked_labels(labelled_part(y, labelled))
        codes, classes = self._coded(given)
        marked = np.full(n, -1 if classes is not None else np.nan, dtype=object if classes is not None else float)
        marked[labelled] = given
        numbers = np.full(n, -1 if classes is not None else np.nan, dtype=codes.dtype)
        numbers[labelled] = codes
        rows = np.flatnonzero(labelled & target)
        if len(rows) == 0:
            raise ValueError(
                f"{name}: no row of the target has a label, so that nothing can be compared. Label some rows; without "
                "labels see SourceClassifier, SourceFreeClassifier and DomainAdaptationClassifier."
            )
        if classes is not None:
            self.classes_ = classes
            if ids is None:
                marked = classes[numbers]
            else:  # -1 may be a class: the candidates get what no class equals
                marked[~labelled] = None
        groups = None if groups is None else _groups(name, groups, n)[rows]
        others = np.flatnonzero(~(labelled & target))
        return Labelled(X, marked, numbers, classes, rows, others, ids, groups)

    def _check_rows(self: Any, X: Any, reset: bool) -> Any:
        """`X` as it came, where it is a frame or windows; else an array of numbers."""
        from sklearn.utils.validation import validate_data

        if hasattr(X, "columns") or getattr(X, "ndim", 2) > 2:
            if reset:
                self.n_features_in_ = X.shape[1]
                if hasattr(X, "columns") and all(isinstance(name, str) for name in X.columns):
                    self.feature_names_in_ = np.asarray(list(X.columns), dtype=object)
            else:
                _check_n_features(self, X, reset=False)
            return X
        return validate_data(self, X, reset=reset, dtype=np.float64)

    def _candidates(self: Any, data: Labelled, seed: int) -> list[Candidate]:
        """The estimators to choose from; a network of the source rows is made where they alone are given."""
        backbone = self.backbone
        if backbone is not None and not isinstance(backbone, Backbone):
            backbone = load_backbone(backbone)
        if isinstance(self.candidates, dict):
            return [self._given(name, estimator, data) for name, estimator in self.candidates.items()]
        if backbone is None and data.domains is not None:
            backbone = self._pretrained(data, seed)
        n_dimensions = getattr(data.X, "ndim", 2)
        return default_candidates(backbone, data.classes, n_dimensions, data.domains is not None, seed)

    def _given(self: Any, name: str, estimator: Any, data: Labelled) -> Candidate:
        if not (isinstance(name, str) and hasattr(estimator, "fit") and hasattr(estimator, "predict")):
            raise invalid_parameter(
                type(self).__name__, "candidates", "be 'default' or map names to estimators", {name: estimator}
            )
        uses = "rows" if data.domains is not None and takes_domain(estimator, "fit") else "labels"
        last = last_step(estimator)
        if getattr(last, "backbone", None) is not None and not isinstance(last.backbone, FromScratch):
            uses = "network" if uses == "labels" else uses
        return Candidate(name, estimator, uses, learns=getattr(last, "_learns", True))

    def _pretrained(self: Any, data: Labelled, seed: int) -> Backbone:
        """A network of the source's rows."""
        from sklearn.utils import _safe_indexing

        domains: Any = data.domains
        rows = np.flatnonzero(domains > 0)
        network = TransferRegressor if self._is_regressor else TransferClassifier
        y = data.codes[rows] if self._is_regressor else data.classes[data.codes[rows]]  # type: ignore[index]
        return network(random_state=seed).fit(_safe_indexing(data.X, rows), y).backbone_

    # ---- choosing

    def _losses(
        self: Any, candidates: list[Candidate], data: Labelled, folds: list[Any]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Loss of each labelled row held out, by candidate, and seconds of all its fits."""
        memory = self.memory if hasattr(self.memory, "cache") else joblib.Memory(self.memory, verbose=0)
        call = memory.cache(held_out)
        jobs = [(k, fold) for k in range(len(candidates)) for fold in range(len(folds))]
        found = joblib.Parallel(n_jobs=self.n_jobs)(
            joblib.delayed(call)(candidates[k], data, *folds[fold]) for k, fold in jobs
        )
        losses, counts = np.zeros((len(candidates), len(data.labelled))), np.zeros(len(data.labelled))
        seconds = np.zeros(len(candidates))
        for (k, fold), (of_rows, took) in zip(jobs, found, strict=True):
            losses[k, folds[fold][1]] += of_rows
            counts[folds[fold][1]] += k == 0
            seconds[k] += took
        return np.where(counts > 0, losses / np.maximum(counts, 1), np.nan), seconds

    def _choose(
        self: Any, candidates: list[Candidate], data: Labelled, losses: np.ndarray, seconds: np.ndarray
    ) -> tuple[list[int], pd.DataFrame]:
        """Numbers of the candidates that answer, and the report."""
        weight, chance = self._weights_and_chance(data)
        mean, behind, error, good = as_good_as_best(losses, weight, data.groups)
        asked = (~np.isnan(losses)).sum(axis=1)
        why = np.where(good, "within one standard error of the best", "worse than the best").astype(object)
        why[asked < 2] = "not comparable: its class was held out"
        if (asked < 2).any():
            chosen = self._one_label_a_class(candidates, losses, weight, chance, good, why)
        else:
            chosen = _without_doubtful_help(candidates, mean, good, why)
        if self.rule == "simplest":
            chosen = chosen[:1]
        report = pd.DataFrame(
            {
                "candidate": [candidate.name for candidate in candidates],
                "loss": mean,
                "behind": behind,
                "standard_error": error,
                "n_rows": asked,
                "seconds": seconds,
                "chosen": [k in chosen for k in range(len(candidates))],
                "why": why,
            }
        )
        return chosen, report

    def _one_label_a_class(
        self: Any,
        candidates: list[Candidate],
        losses: np.ndarray,
        weight: np.ndarray,
        chance: float,
        good: np.ndarray,
        why: np.ndarray,
    ) -> list[int]:
        """With one label a class, a row held out takes its class along: what learns from labels alone can't be asked.

        Where what knows the source beats chance by more than a standard error, it answers, and with the network as it
        is also what begins there; else what knows nothing of the source does.
        """
        helps = []
        for k in np.flatnonzero(good):
            there = ~np.isnan(losses[k])
            gain, error = mean_and_error((chance - losses[k])[there], weight[there], None)
            helps += [int(k)] if gain > error else []
        if not helps:
            plain = [k for k, one in enumerate(candidates) if one.uses == "labels"]
            why[plain] = "knows nothing of the source, which is no better than chance on these labels"
            return plain or [int(k) for k in np.flatnonzero(good)]
        if any(candidates[k].uses == "network" for k in helps):
            begun = [k for k, one in enumerate(candidates) if one.uses == "network" and k not in helps]
            why[begun] = "begins with the network that is right on these labels"
            helps = sorted({*helps, *begun})
        return helps

    # ---- answers

    def _answer(self: Any, X: Any) -> np.ndarray:
        """Mean over the chosen candidates of their probabilities or values."""
        check_is_fitted(self, "estimators_")
        X = self._check_rows(X, reset=False)
        classes = getattr(self, "classes_", None)
        return np.mean([answers(fitted, X, classes) for fitted in self.estimators_], axis=0)

    def __sklearn_is_fitted__(self) -> bool:
        return "estimators_" in self.__dict__


def _without_doubtful_help(
    candidates: list[Candidate], mean: np.ndarray, good: np.ndarray, why: np.ndarray
) -> list[int]:
    """Those within one standard error of the best, but for what uses the source and is behind the best without it."""
    own = [mean[k] for k, one in enumerate(candidates) if one.uses == "labels" and not np.isnan(mean[k])]
    limit = min(own, default=np.inf)
    chosen = []
    for k in np.flatnonzero(good):
        if candidates[k].uses != "labels" and mean[k] > limit:
            why[k] = "behind what knows nothing of the source"
        else:
            chosen.append(int(k))
    return chosen


def _groups(name: str, groups: Any, n: int) -> np.ndarray:
    found = np.asarray(groups)
    if found.shape != (n,):
        raise ValueError(f"{name} got groups of shape {found.shape}; expected ({n},), one a row of X.")
    return found
