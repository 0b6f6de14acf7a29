"""Pipeline: scikit-learn's, in constant memory over many rows.

::

    X of a million rows --> 16,384 rows --> [scaler] --> [network] --> outputs in place
                        --> 16,384 rows --> [scaler] --> [network] --> outputs in place
                        --> ...
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from numbers import Integral
from typing import Any

import numpy as np
import sklearn.pipeline
from sklearn import get_config
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils.metaestimators import available_if

from sktransfer.estimators.domain_steps import DOMAIN, for_steps, through_steps
from sktransfer.utils.checksums import Checksummed
from sktransfer.utils.chunks import in_chunks
from sktransfer.utils.counted_warnings import collect_warnings
from sktransfer.validation.named_rows import NamedRows, with_names

_ARRAYS = (np.ndarray, NamedRows)
_FRAMES = ("pandas", "polars")  # modules whose frames are joined


def _offers(method: str) -> Callable[[Any], bool]:
    """Whether scikit-learn's pipeline has `method` with these steps; the AttributeError of a step says why not."""

    def check(self: Any) -> bool:
        try:
            return getattr(super(Pipeline, self), method) is not None
        except AttributeError as error:
            raise error.__cause__ or error from None  # scikit-learn puts the pipeline's own sentence before it

    return check


class Pipeline(Checksummed, sklearn.pipeline.Pipeline):
    """scikit-learn's ``Pipeline``, which predicts and transforms many rows in chunks through all steps.

    scikit-learn sends all rows through one step after the other, so a scaler in front of a network copies the whole
    table. Here ``chunk_rows`` rows at a time walk through all steps, and the memory needed beside the table and its
    outputs does not grow with it. Everything else is scikit-learn's class, fits included.

    Every step must treat rows one by one when it predicts or transforms, which is the contract of scikit-learn's
    estimators. A ``FunctionTransformer`` that looks across rows (a cumulative sum, say) breaks it; use scikit-learn's
    own ``Pipeline`` there.

    Parameters
    ----------
    steps : list of tuples
        Pairs of name and estimator, as in scikit-learn.
    transform_input : list of str or None, default=None
        As in scikit-learn.
    memory : str, joblib.Memory or None, default=None
        Where fitted transformers are kept, as in scikit-learn.
    verbose : bool, default=False
        As in scikit-learn.

    Attributes
    ----------
    chunk_rows : int
        Rows that walk together: 16,384, an attribute of the class. More rows fall out of the processor's cache, fewer
        pay for the checks of each step.
    chunk_bytes : int
        Of windows and images, as many walk together as take so many bytes: 8 MiB.

    Notes
    -----
    ``sample_domain`` may be passed to ``fit``, to what predicts and to ``transform`` without turning on scikit-learn's
    metadata routing; each step that takes it gets it. So ``GridSearchCV(pipeline, ...).fit(X, y, sample_domain=d)``
    works, too, and slices it.

    Arrays and frames go in chunks. A call goes to scikit-learn's method in one piece if it has no more rows than walk
    together, if ``X`` is anything else (a list, a sparse matrix), if a keyword argument is not an array or frame with
    one value a row (``return_std=True`` may concern all rows at once), or if the outputs of the first chunk are not an
    array or frame with one row each (sparse outputs, the list of a forest with many outputs).

    Warnings of this package that count rows are given once, with the count over all chunks. A sensor that is stuck over
    the border of two chunks is reported with the longer part.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sktransfer import Pipeline
    >>> X = np.random.default_rng(0).normal(size=(40_000, 3))
    >>> pipe = Pipeline([("scaler", StandardScaler()), ("head", LogisticRegression())]).fit(X[:100], X[:100, 0] > 0)
    >>> pipe.predict_proba(X).shape
    (40000, 2)
    """

    chunk_rows = 16_384
    chunk_bytes = 2**23

    def fit(self, X, y=None, **params):
        """As scikit-learn's; ``sample_domain``, one a row, goes to each step that takes it.

        With scikit-learn's metadata routing turned on or off. A ValueError if no step takes it.
        """
        return super().fit(X, y, **for_steps(self, "fit", params))

    @available_if(_offers("fit_transform"))
    def fit_transform(self, X, y=None, **params):
        """As scikit-learn's; ``sample_domain`` goes to each step that takes it."""
        return super().fit_transform(X, y, **for_steps(self, "fit_transform", params))

    @available_if(_offers("fit_predict"))
    def fit_predict(self, X, y=None, **params):
        """As scikit-learn's; ``sample_domain`` goes to each step that takes it."""
        return super().fit_predict(X, y, **for_steps(self, "fit_predict", params))

    @available_if(_offers("predict"))
    def predict(self, X, **params):
        """As scikit-learn's, in chunks."""
        return self._walk(self._domains_known("predict", super().predict, params), X, params)

    @available_if(_offers("predict_proba"))
    def predict_proba(self, X, **params):
        """As scikit-learn's, in chunks."""
        return self._walk(self._domains_known("predict_proba", super().predict_proba, params), X, params)

    @available_if(_offers("predict_log_proba"))
    def predict_log_proba(self, X, **params):
        """As scikit-learn's, in chunks."""
        return self._walk(self._domains_known("predict_log_proba", super().predict_log_proba, params), X, params)

    @available_if(_offers("decision_function"))
    def decision_function(self, X, **params):
        """As scikit-learn's, in chunks."""
        return self._walk(self._domains_known("decision_function", super().decision_function, params), X, params)

    @available_if(_offers("score_samples"))
    def score_samples(self, X):
        """As scikit-learn's, in chunks."""
        return self._walk(super().score_samples, X, {})

    @available_if(_offers("transform"))
    def transform(self, X, **params):
        """As scikit-learn's, in chunks."""
        return self._walk(self._domains_known("transform", super().transform, params), X, params)

    @available_if(_offers("score"))
    def score(self, X, y=None, sample_weight=None, **params):
        """As scikit-learn's; accuracy and the coefficient of determination are those of predictions in chunks."""
        scores: Any = getattr(type(self._final_estimator), "score", None)
        if DOMAIN in params and not get_config()["enable_metadata_routing"]:
            given = {} if sample_weight is None else {"sample_weight": sample_weight}
            return through_steps(self, "score", X, y=y, **params, **given)
        by_predictions = scores in (ClassifierMixin.score, RegressorMixin.score) and not params
        if by_predictions and _count_rows(X) > self._chunk(X):
            return scores(self, X, y, sample_weight=sample_weight)
        return super().score(X, y, sample_weight=sample_weight, **params)

    def _domains_known(self, name: str, method: Callable[..., Any], params: dict[str, Any]) -> Callable[..., Any]:
        """`method`, or the walk through the steps that knows ``sample_domain`` where scikit-learn's routing is off."""
        if DOMAIN not in params or get_config()["enable_metadata_routing"]:
            return method
        return partial(through_steps, self, name)

    def _chunk(self, X: Any) -> int:
        if getattr(X, "ndim", 2) <= 2 or _count_rows(X) <= 0:
            return self.chunk_rows
        return max(1, min(self.chunk_rows, self.chunk_bytes * len(X) // max(getattr(X, "nbytes", 0), 1)))

    def _walk(self, method: Callable[..., Any], X: Any, params: dict[str, Any]) -> Any:
        n_rows, chunk = _count_rows(X), self._chunk(X)
        if n_rows <= chunk or any(_count_rows(value) != n_rows for value in params.values()):
            return method(X, **params)
        with collect_warnings() as forget:
            slices = in_chunks(n_rows, chunk)
            outputs = (method(_take(X, part), **{k: _take(v, part) for k, v in params.items()}) for part in slices)
            first = next(outputs)
            if _count_rows(first) != chunk or (type(first) not in _ARRAYS and _home(first) not in _FRAMES):
                forget()  # all rows are counted again
                return method(X, **params)
            if isinstance(first, np.ndarray):
                return _fill(first, outputs, n_rows)
            frames = [first, *outputs]
            _compare_rows(sum(map(len, frames)), n_rows)
            if any(_columns(frame) != _columns(first) for frame in frames):
                forget()  # columns that depend on the rows of a chunk, which concat would fill with NaN
                return method(X, **params)
            options = {"ignore_index": _count_anew(X, frames)} if _home(first) == "pandas" else {}
            return sys.modules[_home(first)].concat(frames, **options)


def make_pipeline(*steps, memory=None, transform_input=None, verbose=False) -> Pipeline:
    """scikit-learn's ``make_pipeline`` with :class:`Pipeline`.

    Parameters
    ----------
    *steps : estimators
        Named by their classes.
    memory : str, joblib.Memory or None, default=None
        As in :class:`Pipeline`.
    transform_input : list of str or None, default=None
        As in :class:`Pipeline`.
    verbose : bool, default=False
        As in :class:`Pipeline`.

    Returns
    -------
    Pipeline

    Examples
    --------
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sktransfer import TransferClassifier, make_pipeline
    >>> list(make_pipeline(StandardScaler(), TransferClassifier()).named_steps)
    ['standardscaler', 'transferclassifier']
    """
    named = sklearn.pipeline.make_pipeline(*steps).steps
    return Pipeline(named, memory=memory, transform_input=transform_input, verbose=verbose)


def _count_rows(X: Any) -> int:
    """Rows of an array or a frame; -1 for anything else, such as a dask frame, whose length is not known."""
    if not hasattr(X, "__array__") or getattr(X, "ndim", 2) == 0:
        return -1
    n_rows = next(iter(getattr(X, "shape", ())), None)
    return int(n_rows) if isinstance(n_rows, Integral) else -1


def _take(X: Any, part: slice) -> Any:
    """Rows `part` of `X`: a view where the kind of `X` has views."""
    return X.iloc[part] if hasattr(X, "iloc") else X[part]


def _home(output: Any) -> str:
    return type(output).__module__.partition(".")[0]


def _columns(frame: Any) -> list[Any] | None:
    columns = getattr(frame, "columns", None)
    return None if columns is None else list(columns)


def _count_anew(X: Any, frames: list[Any]) -> bool:
    """Whether the rows of pandas outputs are numbered from zero in each chunk, and do not carry the index of `X`.

    In one piece they would be numbered over all rows.
    """
    pandas, start, carried = sys.modules["pandas"], 0, hasattr(X, "iloc")
    for frame in frames:
        if carried:
            own = X.index[start : start + len(frame)]
            carried = type(frame.index) is type(own) and frame.index.equals(own)
        start += len(frame)
    return not carried and all(frame.index.equals(pandas.RangeIndex(len(frame))) for frame in frames)


def _fill(first: np.ndarray, rest: Iterator[np.ndarray], n_rows: int) -> np.ndarray:
    """One array from those of all chunks, filled in place."""
    joined = np.empty((n_rows, *first.shape[1:]), dtype=first.dtype)
    end = 0
    for part in chain([first], rest):
        if end + len(part) > n_rows:
            _compare_rows(end + len(part), n_rows)
        if part.dtype != joined.dtype:  # text of another length
            joined = joined.astype(np.result_type(joined, part))
        joined[end : end + len(part)] = part
        end += len(part)
    _compare_rows(end, n_rows)
    return with_names(joined, first, getattr(first, "columns", None))


def _compare_rows(found: int, n_rows: int) -> None:
    if found != n_rows:
        raise ValueError(
            f"Pipeline: the steps returned {found} outputs for {n_rows} rows, after one a row in the first chunk. "
            "Steps must treat rows one by one; use scikit-learn's Pipeline for these."
        )
