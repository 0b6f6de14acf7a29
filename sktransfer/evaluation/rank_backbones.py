"""rank_backbones: which of several backbones, and which of its features, suits the labelled rows at hand.

::

    backbones --> frozen features of X, once each --> leave-one-out ridge, LogME, H-score --> a table, the best first
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.multiclass import type_of_target

from sktransfer.backbones.backbone import Backbone
from sktransfer.backbones.by_tag import BLOCKS, keeps_tags
from sktransfer.backbones.from_scratch import FromScratch, open_backbone
from sktransfer.estimators.feature_extractor import FeatureExtractor
from sktransfer.solvers.transferability import left_out_codes, log_me, shrinkage_h_score
from sktransfer.utils.counted_nouns import counted
from sktransfer.utils.counted_warnings import listed, warn_caller, warnings_once
from sktransfer.validation.labels import check_labels, check_values

_NAME = "rank_backbones"
_TAGS = BLOCKS[1:]


def rank_backbones(backbones, X, y, *, block="auto", groups=None, task="auto", device="auto", n_jobs=None):
    """Rank pretrained backbones by how well their frozen features explain a few labelled rows.

    Nothing is trained: features are computed once, and each score is closed-form, so that a backbone takes
    milliseconds. The first score, the accuracy of a ridge regression on rows that it was not fitted to, orders the
    table; two published ones stand beside it.

    Parameters
    ----------
    backbones : Backbone, str, path, or list or dict of them
        As the parameter ``backbone`` of :class:`sktransfer.TransferClassifier` takes them, ``FromScratch()`` for an
        untrained network among them. The keys of a dict name them in the table.
    X : array-like of shape (n_samples, n_features) or (n_windows, n_channels, window_length)
        Labelled rows or windows of the target, scaled as the backbones want them.
    y : array-like of shape (n_samples,), or (n_samples, n_outputs) for numbers
        Their classes, or numbers to predict.
    block : "auto", "all", str, None or list of them, default="auto"
        Features to rank, as the parameter ``block`` of :class:`sktransfer.FeatureExtractor` names them (None: those of
        the last block). ``"auto"``: by tag, pooled and both of a backbone that keeps tags apart, else the last block.
        ``"all"``: every block besides.
    groups : array-like of shape (n_samples,), optional
        Recording, run or engine of each row. The ridge regression then leaves a whole group out: rows of one recording
        resemble each other, and one of them in training tells the label of the others.
    task : {"auto", "classification", "regression"}, default="auto"
        Whether `y` names classes. ``"auto"``: unless its numbers have fractions.
    device : str, default="auto"
        As in :class:`sktransfer.TransferClassifier`.
    n_jobs : int or None, default=None
        Torch threads; None: 1; -1: as many as torch has.

    Returns
    -------
    DataFrame
        One row a backbone and block, the best first:

        - ``backbone``, ``block``: their names;
        - ``loo``: balanced accuracy (classification) or R2 (regression) of a ridge regression on rows that were left
          out, one at a time or by group; the strength of its penalty is the best of a grid on these rows;
        - ``logme``: largest log evidence of a Bayesian linear model, nats a row;
        - ``h_score``: spread of the class means over the spread of the rows, with a shrunk covariance; NaN for numbers;
        - ``n_features``, ``milliseconds`` (features and scores together);
        - ``remark``: why a backbone cannot be used with these rows, else empty.

        Equal values of ``loo`` are ordered by ``logme``.

    Raises
    ------
    ValueError
        If no backbone takes `X`, `y` has one class or one value, lengths differ, `groups` is one group, or there is no
        such block.

    Warns
    -----
    UserWarning
        If a class has one row (with `groups`: one group), so that none is left to learn it from when that is left out:
        its rows then count in the other scores alone. If a backbone does not take these rows.

    Notes
    -----
    Features are standardised by the statistics of the source where the backbone has them for these features, as a head
    does, else by those of `X`. Classes weigh the same in the ridge regression, whatever the number of their rows.

    With one label a class ``loo`` is NaN throughout, and ``logme`` orders the table.

    References
    ----------
    You, Liu, Wang and Long (2021). LogME: practical assessment of pre-trained models for transfer learning. ICML,
    PMLR 139, 12133-12143.
    Ibrahim, Ponomareva and Mazumder (2022). Newer is not always better: rethinking transferability metrics, their
    peculiarities, stability and performance. ECML PKDD, 693-709. doi:10.1007/978-3-031-26387-3_42.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer import FromScratch, TransferClassifier, rank_backbones
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 4))
    >>> y = (X[:, 0] > 0).astype(int)
    >>> source = TransferClassifier(random_state=0).fit(X[:150], y[:150]).backbone_
    >>> ranking = rank_backbones({"source": source, "untrained": FromScratch()}, X[150:], y[150:])
    >>> ranking["backbone"].tolist()
    ['source', 'untrained']
    """
    named = _named(backbones)
    opened = {name: open_backbone(backbone) for name, backbone in named.items()}
    score = _Scores(y, len(X), groups, task)
    rows: list[dict[str, Any]] = []
    with warnings_once():
        for name, backbone in opened.items():
            rows += [_ranked(name, backbone, part, X, score, device, n_jobs) for part in _blocks(backbone, block)]
    refused = {row["backbone"]: row["remark"] for row in rows if row["remark"]}
    if all(row["remark"] for row in rows):
        name, why = next(iter(refused.items()))
        raise ValueError(f"{_NAME}: no backbone gives features of these rows. Of {name!r}: {why}")
    score.warn()
    if refused:
        warn_caller(
            f"{_NAME}: {len(refused)} of {len(opened)} backbones do not take these rows, or have no such block; they "
            f"stand last, with the reason in the column 'remark': {listed(list(refused))}.",
            UserWarning,
        )
    columns = ["backbone", "block", "loo", "logme", "h_score", "n_features", "milliseconds", "remark"]
    table = pd.DataFrame(rows).reindex(columns=columns)
    return table.sort_values(["loo", "logme"], ascending=False, kind="stable", ignore_index=True)


def _named(backbones: Any) -> dict[str, Any]:
    """What is ranked, by name: keys of a dict, names of files and backbones; a number tells equal names apart."""
    if isinstance(backbones, Mapping):
        found = {str(name): backbone for name, backbone in backbones.items()}
    else:
        one = isinstance(backbones, Backbone | FromScratch | str | os.PathLike)
        items = [backbones] if one or not isinstance(backbones, Iterable) else list(backbones)
        found = {}
        for item in items:
            name = (
                item.name if isinstance(item, Backbone) else "from scratch" if isinstance(item, FromScratch) else item
            )
            name = str(name)
            taken = sum(other == name or other.startswith(f"{name} #") for other in found)
            found[f"{name} #{taken + 1}" if taken else name] = item
    if not found:
        raise ValueError(f"{_NAME} got no backbones; pass names, paths or Backbone objects, as a list or a dict.")
    for name, item in found.items():
        if not isinstance(item, Backbone | FromScratch | str | os.PathLike):
            raise TypeError(
                f"{_NAME} takes Backbone objects, FromScratch(), names and paths; {name!r} is a {type(item).__name__}. "
                "Of a fitted estimator pass estimator.backbone_."
            )
    return found


def _blocks(backbone: Backbone | FromScratch, block: Any) -> list[str | None]:
    """Blocks of a backbone that are ranked."""
    if not isinstance(block, str) and block is not None:
        return list(dict.fromkeys(part for one in block for part in _blocks(backbone, one)))
    if block not in ("auto", "all"):
        return [block]
    tags = isinstance(backbone, Backbone) and keeps_tags(backbone)
    last: list[str | None] = list(_TAGS) if tags else [None]
    if block == "auto" or isinstance(backbone, FromScratch):
        return last
    return [*last, *(part for part in (backbone.blocks if tags else backbone.blocks[:-1]) if part not in last)]


def _ranked(
    name: str, backbone: Backbone | FromScratch, block: str | None, X: Any, score: _Scores, device: Any, n_jobs: Any
) -> dict[str, Any]:
    """One row of the table."""
    began = time.perf_counter()
    extractor = FeatureExtractor(backbone, block=block, device=device, n_jobs=n_jobs, random_state=0)
    try:
        features = extractor.fit(X).transform(X).astype(np.float64)
    except ValueError as error:
        return {"backbone": name, "block": block or "", "remark": str(error)}
    if not extractor.standardizes_by_source:
        scale = features.std(axis=0)
        features = (features - features.mean(axis=0)) / np.where(scale > 0, scale, 1.0)
    row: dict[str, Any] = {"backbone": name, "block": block or extractor.backbone_.blocks[-1], "remark": ""}
    row |= score(features) | {"n_features": features.shape[1]}
    return row | {"milliseconds": 1000 * (time.perf_counter() - began)}


class _Scores:
    """The three scores of features, for one `y`.

    Parameters
    ----------
    y : array-like
    n_rows : int
        Of `X`.
    groups : array-like or None
    task : str
    """

    def __init__(self, y: Any, n_rows: int, groups: Any, task: str):
        if task not in ("auto", "classification", "regression"):
            raise ValueError(f"{_NAME}: task is 'auto', 'classification' or 'regression', got {task!r}.")
        if task == "auto":
            task = "regression" if type_of_target(y).startswith("continuous") else "classification"
        self.codes: np.ndarray | None = None
        self.lonely: list[Any] = []
        self.units = _unit_of_row(groups, n_rows)
        self.groups = None if groups is None else [np.flatnonzero(self.units == k) for k in np.unique(self.units)]
        if task == "regression":
            self._begin_regression(check_values(_NAME, y, n_rows))
        else:
            self._begin_classification(check_labels(_NAME, y, n_rows))

    def _begin_regression(self, y: np.ndarray) -> None:
        values = y.reshape(len(y), -1)
        spread = values.std(axis=0)
        if not (spread > 0).all():
            raise ValueError(f"{_NAME}: y has an output with a single value, which every backbone predicts alike.")
        self.counted = np.ones(len(y), dtype=bool)
        self.values = self.model_values = (values - values.mean(axis=0)) / spread
        self.weight = np.ones(len(y))

    def _begin_classification(self, y: np.ndarray) -> None:
        classes, codes, counts = np.unique(y, return_inverse=True, return_counts=True)
        if len(classes) < 2:
            raise ValueError(f"{_NAME}: y has one class, {classes.tolist()}; rows of two or more tell backbones apart.")
        self.codes = codes = codes.ravel()
        alone = np.array([len(np.unique(self.units[codes == code])) < 2 for code in range(len(classes))])
        self.lonely, self.counted = classes[alone].tolist(), ~alone[codes]
        onehot = np.eye(len(classes))[codes]
        self.model_values, self.values = onehot, onehot - 1.0 / len(classes)
        self.weight = (len(y) / len(classes) / counts)[codes]

    def __call__(self, features: np.ndarray) -> dict[str, float]:
        """The scores."""
        evidence = log_me(features, self.model_values)
        spread = np.nan if self.codes is None else shrinkage_h_score(features, self.codes)
        return {"loo": self._left_out(features), "logme": evidence, "h_score": spread}

    def _left_out(self, features: np.ndarray) -> float:
        if not self.counted.any():
            return np.nan
        outputs = left_out_codes(features, self.values, self.weight, self.groups)
        if self.codes is None:
            return float(1.0 - ((self.values - outputs) ** 2).mean(axis=0).mean())
        right = outputs.argmax(axis=1) == self.codes
        return float(np.mean([right[self.codes == code].mean() for code in np.unique(self.codes[self.counted])]))

    def warn(self) -> None:
        """Say which classes the accuracy leaves out."""
        if self.lonely:
            unit = "row" if self.groups is None else "group"
            classes = counted(len(self.lonely), "class has", "classes have")
            warn_caller(
                f"{_NAME}: {classes} one {unit}, so that none is left to learn them from when it is left out: "
                f"{listed(self.lonely)}. Column 'loo' does not count them"
                f"{'' if self.counted.any() else ' and is NaN; the order is that of logme'}. "
                f"Label two {unit}s a class.",
                UserWarning,
            )


def _unit_of_row(groups: Any, n_rows: int) -> np.ndarray:
    """Number of what is left out together with each row: its group, or the row."""
    if groups is None:
        return np.arange(n_rows)
    given = np.asarray(groups)
    if given.shape != (n_rows,):
        raise ValueError(f"{_NAME}: groups has shape {given.shape}; expected ({n_rows},), one group a row.")
    if (missing := np.asarray(pd.isna(given))).any():
        raise ValueError(f"{_NAME}: groups names none in rows {np.flatnonzero(missing)[:5].tolist()}; name one a row.")
    numbers, names = pd.factorize(given)
    if len(names) < 2:
        raise ValueError(
            f"{_NAME}: all rows are of one group, {given[0]!r}, so that none can be left out. Pass rows of two or more "
            "groups, or groups=None if rows of one group resemble each other no more than those of others."
        )
    return np.asarray(numbers)
