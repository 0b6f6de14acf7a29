"""The estimator at the end of pipelines and within searches."""

from __future__ import annotations

from typing import Any

from sklearn.model_selection._search import BaseSearchCV
from sklearn.pipeline import Pipeline


def last_step(estimator: Any) -> Any:
    """The last step of a pipeline, or of the pipeline that a search is over; or the estimator itself."""
    if isinstance(estimator, BaseSearchCV):
        return last_step(estimator.estimator)
    return last_step(estimator.steps[-1][1]) if isinstance(estimator, Pipeline) else estimator
