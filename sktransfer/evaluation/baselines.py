"""What transfer is compared with: the same network from scratch, the source as it is, and plain estimators.

::

    Pipeline(scaler, TransferClassifier(backbone)) --> scaler, the same network from scratch
                                                   --> scaler, the source network as it is
                                                   --> scaler, logistic regression | forest | boosting
                                                   --> scaler, pooled logistic regression | forest   (source rows)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.model_selection._search import BaseSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sktransfer.backbones.backbone import Backbone
from sktransfer.backbones.from_scratch import FromScratch
from sktransfer.backbones.persistence import load_backbone
from sktransfer.estimators.source_classifier import SourceClassifier
from sktransfer.estimators.source_regressor import SourceRegressor
from sktransfer.estimators.transfer_classifier import TransferClassifier
from sktransfer.estimators.transfer_regressor import TransferRegressor
from sktransfer.evaluation.fits import Rows, takes_domains
from sktransfer.evaluation.last_step import last_step
from sktransfer.utils.parameters import invalid_parameter
from sktransfer.windows.window_statistics import window_statistics

TRANSFER, SCRATCH, SOURCE = "transfer", "from scratch", "source as it is"
# What the network from scratch takes over; strategy, block, rate and the head's beginning are those of transfer.
_KEPT = ("max_epochs", "batch_size", "class_weight", "device", "n_jobs", "random_state")


def with_loaded_backbone(estimator: Any) -> Any:
    """A clone of `estimator` whose backbone is read, if it names a file or a shipped one."""
    estimator = clone(estimator)
    last = last_step(estimator)
    named = getattr(last, "backbone", None)
    if named is not None and not isinstance(named, Backbone | FromScratch):
        last.set_params(backbone=load_backbone(named))
    return estimator


def make_methods(estimator: Any, baselines: Any, data: Rows) -> dict[str, Any]:
    """The estimators that are compared, by name, none of them fitted.

    Parameters
    ----------
    estimator : estimator
        With its backbone read.
    baselines : "default", dict of str to estimator or None, or None
        Others beside the default ones; None in place of an estimator leaves a default one out.
    data : Rows

    Returns
    -------
    dict
    """
    own = _own_name(estimator, data.X_source is not None)
    searched = estimator.estimator if isinstance(estimator, BaseSearchCV) else estimator
    found = {own: estimator, **_network_baselines(searched, own, data.classes), **_plain_baselines(searched, data)}
    if baselines is None:
        return {name: found[name] for name in (own, SCRATCH, SOURCE) if name in found}
    if not isinstance(baselines, Mapping) and not (isinstance(baselines, str) and baselines == "default"):
        raise invalid_parameter("compare", "baselines", "be 'default', None or a dict of estimators", baselines)
    for name, given in baselines.items() if isinstance(baselines, Mapping) else ():
        if name == own or not isinstance(name, str) or not (given is None or hasattr(given, "fit")):
            must = f"map names other than {own!r} to estimators, or names of default ones to None"
            raise invalid_parameter("compare", "baselines", must, {name: given})
        if given is None and name not in found:
            raise invalid_parameter("compare", "baselines", f"leave out some of {[*found][1:]}", name)
        found[name] = None if given is None else with_loaded_backbone(given)
    return {name: one for name, one in found.items() if one is not None}


def _own_name(estimator: Any, has_source_rows: bool) -> str:
    last = last_step(estimator)
    transfers = isinstance(getattr(last, "backbone", None), Backbone) or (has_source_rows and takes_domains(last))
    return TRANSFER if transfers else type(last).__name__


def _behind(estimator: Any, last: Any) -> Any:
    """`last` behind the steps that `estimator` has before its own last one."""
    if not isinstance(estimator, Pipeline) or len(estimator.steps) < 2:
        return last
    steps = [(name, "passthrough" if step is None else step) for name, step in estimator.steps[:-1]]
    return clone(estimator).set_params(steps=[*clone(Pipeline(steps)).steps, ("last", last)])


def _network_baselines(estimator: Any, own: str, classes: np.ndarray | None) -> dict[str, Any]:
    last = last_step(estimator)
    backbone = getattr(last, "backbone", None)
    untrained = FromScratch.like(backbone) if isinstance(backbone, Backbone) and backbone.network else None
    if own == TRANSFER and isinstance(backbone, FromScratch | None) and hasattr(last, "backbone"):
        untrained = backbone or FromScratch()  # it learns from source rows, its network begins untrained
    found: dict[str, Any] = {}
    if untrained is not None:
        plain = TransferRegressor if classes is None else TransferClassifier
        taken = set(_KEPT) & set(plain().get_params(deep=False)) & set(last.get_params(deep=False))
        kept = {name: getattr(last, name) for name in taken}
        found[SCRATCH] = _behind(estimator, plain(untrained, **kept))
    if not isinstance(backbone, Backbone):
        return found
    source = backbone.source
    if source is not None and source.weight is not None:
        if classes is None and source.classes is None:
            found[SOURCE] = _behind(estimator, SourceRegressor(backbone))
        elif classes is not None and source.classes is not None and set(source.classes) & set(classes.tolist()):
            found[SOURCE] = _behind(estimator, SourceClassifier(backbone))
    return found


def _plain_baselines(estimator: Any, data: Rows) -> dict[str, Any]:
    n_dimensions, classifies = len(data.X.shape), data.classes is not None
    has_front = isinstance(estimator, Pipeline) and len(estimator.steps) > 1
    front: list[BaseEstimator] = [] if n_dimensions == 2 else [FunctionTransformer(window_statistics)]
    scaled = front if has_front and n_dimensions == 2 else [*front, StandardScaler()]
    # boosting's default of 20 rows a leaf refuses to split what is this small
    few = {"min_samples_leaf": 2, "max_iter": 50}
    linear: tuple[str, Any] = ("logistic regression", LogisticRegression(max_iter=2000))
    forest: Any = RandomForestClassifier()
    boosting: Any = HistGradientBoostingClassifier(**few)
    trees: Any = ExtraTreesClassifier()
    if not classifies:
        linear = ("ridge regression", RidgeCV(np.logspace(-3, 3, 13)))
        forest, boosting, trees = RandomForestRegressor(), HistGradientBoostingRegressor(**few), ExtraTreesRegressor()
    found = {
        linear[0]: _chain(scaled, linear[1]),
        "random forest": _chain(front, forest),
        "gradient boosting": _chain(front, boosting),
    }
    if data.y.ndim > 1:
        del found["gradient boosting"]  # it predicts one number
    if data.X_source is not None:
        from sktransfer.estimators.pooled import Pooled

        found[f"pooled {linear[0]}"] = _chain(scaled, Pooled(linear[1]))
        found["pooled extra trees"] = _chain(front, Pooled(trees))
    return {name: _behind(estimator, one) for name, one in found.items()}


def _chain(front: list[Any], last: Any) -> Any:
    return make_pipeline(*[clone(step) for step in front], clone(last)) if front else clone(last)
