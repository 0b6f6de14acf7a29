"""What SafeTransferClassifier and SafeTransferRegressor choose from, the simplest first.

::

    backbone ------------------> source as it is | probing | fine-tuned | from scratch
    rows of the source --------> pooled linear model | pooled extra trees | joint network
    labels of the target alone-> linear model | extra trees | boosting
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sktransfer.backbones.backbone import Backbone
from sktransfer.backbones.from_scratch import FromScratch
from sktransfer.estimators.domain_adaptation_classifier import DomainAdaptationClassifier
from sktransfer.estimators.domain_adaptation_regressor import DomainAdaptationRegressor
from sktransfer.estimators.pooled import Pooled
from sktransfer.estimators.source_classifier import SourceClassifier
from sktransfer.estimators.source_regressor import SourceRegressor
from sktransfer.estimators.transfer_classifier import TransferClassifier
from sktransfer.estimators.transfer_regressor import TransferRegressor
from sktransfer.strategies.linear_probing import LinearProbing
from sktransfer.windows.window_statistics import window_statistics

_TREES, _TREES_IN_FOLDS = 300, 100  # the source's rows are in every fold: a third of the time, about the same losses


@dataclass
class Candidate:
    """One estimator to choose from.

    Parameters
    ----------
    name : str
    estimator : estimator
        Not fitted.
    uses : {"network", "rows", "labels"}
        What it knows beside the labels of the target: the network of the source, the source's rows, or nothing.
    learns : bool
        Whether ``fit`` looks at the labels of the target.
    in_folds : estimator or None
        A cheaper form of it, fitted where rows are held out; None: it is compared as it is.
    """

    name: str
    estimator: Any
    uses: str
    learns: bool = True
    in_folds: Any = None


def default_candidates(
    backbone: Backbone | None, classes: np.ndarray | None, n_dimensions: int, has_source_rows: bool, seed: int
) -> list[Candidate]:
    """All that can be fitted, the simplest first.

    Parameters
    ----------
    backbone : Backbone or None
        Pretrained; None: there is none.
    classes : ndarray or None
        Of the target; None: a regression.
    n_dimensions : int
        Of `X`: windows reach the plain estimators as statistics of each channel.
    has_source_rows : bool
    seed : int
    """
    found: list[Candidate] = []
    network = TransferRegressor if classes is None else TransferClassifier
    if backbone is not None:
        found += _as_it_is(backbone, classes)
        found.append(Candidate("probing", network(backbone, strategy=LinearProbing(), random_state=seed), "network"))
        found.append(Candidate("fine-tuned", network(backbone, random_state=seed), "network"))
    front = [] if n_dimensions == 2 else [FunctionTransformer(window_statistics)]
    linear = RidgeCV(np.logspace(-3, 3, 13)) if classes is None else LogisticRegression(max_iter=2000)
    forest = ExtraTreesRegressor if classes is None else ExtraTreesClassifier
    trees, few_trees = (_behind(front, forest(n, random_state=seed)) for n in (_TREES, _TREES_IN_FOLDS))
    boosting = (HistGradientBoostingRegressor if classes is None else HistGradientBoostingClassifier)(
        min_samples_leaf=2, max_iter=50, random_state=seed
    )
    word = "ridge regression" if classes is None else "logistic regression"
    if has_source_rows:
        # None: rows without a label carry it, because any number or text may be a class
        linear_of_all = Pooled(make_pipeline(*front, StandardScaler(), linear), unlabelled_label=None)
        found.append(Candidate(f"pooled {word}", linear_of_all, "rows"))
        pooled_trees, few_pooled_trees = (Pooled(one, unlabelled_label=None) for one in (trees, few_trees))
        found.append(Candidate("pooled extra trees", pooled_trees, "rows", in_folds=few_pooled_trees))
        joint = DomainAdaptationRegressor if classes is None else DomainAdaptationClassifier
        found.append(Candidate("joint network", joint(unlabelled_label=None, random_state=seed), "rows"))
    found.append(Candidate(word, make_pipeline(*front, StandardScaler(), linear), "labels"))
    found.append(Candidate("extra trees", trees, "labels", in_folds=few_trees))
    found.append(Candidate("gradient boosting", _behind(front, boosting), "labels"))
    scratch = FromScratch() if backbone is None or backbone.network is None else FromScratch.like(backbone)
    found.append(Candidate("from scratch", network(scratch, random_state=seed), "labels"))
    return found


def _as_it_is(backbone: Backbone, classes: np.ndarray | None) -> list[Candidate]:
    """The source head as it is, where it answers for these classes or values."""
    source = backbone.source
    if source is None or source.weight is None:
        return []
    if classes is None:
        if source.classes is not None or len(source.weight) != 1:
            return []
        return [Candidate("source as it is", SourceRegressor(backbone), "network", learns=False)]
    known = [] if source.classes is None else [name for name in source.classes if name in set(classes.tolist())]
    if len(known) < 2:
        return []
    return [Candidate("source as it is", SourceClassifier(backbone, classes=known), "network", learns=False)]


def _behind(front: list[Any], last: Any) -> Any:
    return make_pipeline(*front, last) if front else last
