"""What both safe estimators share: candidates, what each loses on held-out rows, and the answer of those that are best.

::

    few labelled rows --> candidates --> losses of rows held out --> is the source worth one standard error?
                                                                         |
                      fitted to all labels; their answers averaged, each with a vote by its loss <--+
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
    gain_of_source,
    held_out,
    splits,
    votes_of,
)
from sktransfer.evaluation.last_step import last_step
from sktransfer.utils.checksums import Checksummed
from sktransfer.utils.parameters import HasMethods, Interval, Options, StrOptions, invalid_parameter
from sktransfer.utils.random import draw_seed
from sktransfer.validation.domains import labelled_part, labelled_rows, source_and_target

_LEAST_VOTE = 0.1  # of the largest vote: what has less is not fitted


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
        votes, self.report_ = self._choose(candidates, data, losses, seconds)
        chosen = np.flatnonzero(votes)
        fits = joblib.Parallel(n_jobs=self.n_jobs)(
            joblib.delayed(fit_candidate)(candidates[k], data, data.labelled) for k in chosen
        )
        self.chosen_ = [candidates[k].name for k in chosen]
        self.votes_ = votes[chosen]
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
    ) -> tuple[np.ndarray, pd.DataFrame]:
        """The vote of each candidate, which sum to one, and the report."""
        weight, chance = self._weights_and_chance(data)
        mean, behind, error, _ = as_good_as_best(losses, weight, data.groups)
        asked = (~np.isnan(losses)).sum(axis=1)
        votes = votes_of(mean, np.nanmin(mean) if self._is_regressor and not np.isnan(mean).all() else 1.0)
        uses = np.array([one.uses for one in candidates])
        plain, why = uses == "labels", np.full(len(candidates), "", dtype=object)
        if (asked < 2).any():
            self._one_label_a_class(candidates, losses, weight, chance, votes, why)
        elif plain.any() and not plain.all():
            gain, doubt = gain_of_source(losses, votes, ~plain, weight, data.groups)
            if not gain > doubt:
                votes[~plain] = 0.0
                why[~plain] = "what uses the source is not better by a standard error than what does not"
        if self.rule == "simplest":
            allowed = (
                np.flatnonzero((votes > 0) & ~np.isnan(mean)) if not np.isnan(mean).all() else np.arange(len(mean))
            )
            best = as_good_as_best(losses[allowed], weight, data.groups)[3]
            first = allowed[np.argmax(best)] if best.any() else np.flatnonzero(votes > 0)[0]
            why[(votes > 0) & (np.arange(len(votes)) != first)] = "not the simplest that is as good as the best"
            votes = (np.arange(len(votes)) == first).astype(np.float64)
        little = (votes > 0) & (votes < _LEAST_VOTE * votes.max())
        why[little], votes[little] = "far behind the best", 0.0
        votes = votes / votes.sum()
        why[(votes > 0) & (why == "")] = "votes by its loss"
        report = pd.DataFrame(
            {
                "candidate": [candidate.name for candidate in candidates],
                "loss": mean,
                "behind": behind,
                "standard_error": error,
                "n_rows": asked,
                "seconds": seconds,
                "chosen": votes > 0,
                "vote": votes,
                "why": why,
            }
        )
        return votes, report

    def _one_label_a_class(
        self: Any,
        candidates: list[Candidate],
        losses: np.ndarray,
        weight: np.ndarray,
        chance: float,
        votes: np.ndarray,
        why: np.ndarray,
    ) -> None:
        """With one label a class, a row held out takes its class along: what learns from labels alone can't be asked.

        Where what knows the source beats chance, it votes, and with the network as it is also what begins there; else
        what knows nothing of the source does, each with one vote.
        """
        plain = np.array([one.uses == "labels" for one in candidates])
        comparable = (~np.isnan(losses)).sum(axis=1) >= 2
        asked = np.flatnonzero(comparable & ~plain)
        helps = False
        if len(asked):
            there = ~np.isnan(losses[asked]).any(axis=0)
            together = np.average(losses[asked][:, there], axis=0, weights=votes[asked])
            helps = bool(np.average(chance - together, weights=weight[there]) > 0)
        if not helps and plain.any():
            votes[:], why[:] = plain.astype(np.float64), "its class is held out with the only row of it"
            why[~plain] = "the source is no better than chance on these labels"
            return
        as_it_is = [k for k in asked if not candidates[k].learns]
        begins = float(votes[as_it_is[0]]) if as_it_is else float(votes[asked].mean()) if len(asked) else 1.0
        for k, one in enumerate(candidates):
            if not comparable[k]:
                votes[k] = 0.0 if one.uses == "labels" and len(asked) else begins
                why[k] = "its class is held out with the only row of it"
        why[[k for k, one in enumerate(candidates) if one.uses == "network" and not comparable[k]]] = (
            "begins with the network that is right on these labels"
        )

    # ---- answers

    def _answer(self: Any, X: Any) -> np.ndarray:
        """Mean over the chosen candidates of their probabilities or values, each with its vote."""
        check_is_fitted(self, "estimators_")
        X = self._check_rows(X, reset=False)
        classes = getattr(self, "classes_", None)
        found = [answers(fitted, X, classes) for fitted in self.estimators_]
        return np.average(found, axis=0, weights=self.votes_)

    def __sklearn_is_fitted__(self) -> bool:
        return "estimators_" in self.__dict__


def _groups(name: str, groups: Any, n: int) -> np.ndarray:
    found = np.asarray(groups)
    if found.shape != (n,):
        raise ValueError(f"{name} got groups of shape {found.shape}; expected ({n},), one a row of X.")
    return found
