"""`sample_domain` through the steps of a pipeline, without scikit-learn's metadata routing.

::

    Pipeline.fit(X, y, sample_domain=d) --> {"scaler__sample_domain": d, "model__sample_domain": d}: who takes it
    Pipeline.predict(X, sample_domain=d) --> scaler.transform(X, sample_domain=d) --> model.predict

With routing turned on for the whole process, scikit-learn hands it on instead, to the same steps.
"""

from __future__ import annotations

import inspect
from typing import Any

from sklearn import get_config

DOMAIN = "sample_domain"


def takes_domain(step: Any, method: str) -> bool:
    """Whether `method` of a step takes ``sample_domain``, or hands it to something inside that does."""
    if not hasattr(step, method):
        return False
    # of the class: a search puts another `fit` in the place of a step's own for a while
    own = getattr(type(step), method, None)
    if own is None:  # handed on, as FrozenEstimator does
        return takes_domain(getattr(step, "estimator", None), method)
    parameters = inspect.signature(own).parameters
    if DOMAIN in parameters:
        return True
    if all(one.kind is not one.VAR_KEYWORD for one in parameters.values()):
        return False
    inside = [one for _, one in step.steps] if hasattr(step, "steps") else [getattr(step, "estimator", None)]
    return any(takes_domain(one, method) for one in inside)


def for_steps(pipeline: Any, method: str, params: dict[str, Any]) -> dict[str, Any]:
    """Parameters of a pipeline's `fit` with ``sample_domain`` under the names of the steps that take it.

    Raises
    ------
    ValueError
        If no step takes it.
    """
    if DOMAIN not in params or get_config()["enable_metadata_routing"]:
        return params
    names = [name for name, step in pipeline.steps if takes_domain(step, "fit")]
    if not names:
        raise _nobody(pipeline, method)
    others = {name: value for name, value in params.items() if name != DOMAIN}
    # what the caller names for one step stays
    return {f"{name}__{DOMAIN}": params[DOMAIN] for name in names} | others


def through_steps(pipeline: Any, method: str, X: Any, sample_domain: Any, **params: Any) -> Any:
    """`method` of the last step for rows that each step before it transformed, with their domains.

    Raises
    ------
    ValueError
        If no step takes domains.
    """
    *before, (_, last) = [(name, step) for name, step in pipeline.steps if step not in (None, "passthrough")]
    taken = [takes_domain(step, "transform") for _, step in before]
    of_last = takes_domain(last, method)
    if not any(taken) and not of_last:
        raise _nobody(pipeline, method)
    for (_, step), takes in zip(before, taken, strict=True):
        X = step.transform(X, sample_domain=sample_domain) if takes else step.transform(X)
    return getattr(last, method)(X, **params, **({DOMAIN: sample_domain} if of_last else {}))


def _nobody(pipeline: Any, method: str) -> ValueError:
    return ValueError(
        f"Pipeline.{method} got sample_domain, but none of its steps {[name for name, _ in pipeline.steps]} takes it. "
        "Leave it out, or use BaselineScaler, Pooled or DomainAdaptationClassifier."
    )
