"""SourceRegressor: the numbers that a backbone predicts already, without a label of the machine at hand."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import RegressorMixin

from sktransfer.backbones.backbone import Backbone
from sktransfer.backbones.source import Source
from sktransfer.estimators.source_estimator import Rows, SourceEstimator
from sktransfer.inference.out_of_range import count_out_of_range, warn_of_range
from sktransfer.utils.callbacks import with_callbacks
from sktransfer.utils.counted_nouns import counted
from sktransfer.validation.labels import check_values


class SourceRegressor(RegressorMixin, SourceEstimator):
    """Predict numbers by the source head of a backbone: zero labels.

    Nothing is learned. ``fit`` compares the columns or channels of `X` with what the backbone takes; ``predict`` works
    without it, too.

    Parameters
    ----------
    backbone : Backbone, str, path or None, default=None
        The pretrained network with its source head, that of a regression. None, an estimator without parameters,
        predicts nothing.
    device : str, default="auto"
        As in :class:`sktransfer.TransferClassifier`.
    n_jobs : int or None, default=None
        Threads inside ``predict``; None: 1; -1: as many as torch has.

    Attributes
    ----------
    backbone_ : Backbone
        The backbone in use; after ``fit``.
    n_features_in_ : int
        Number of columns, or of channels; after ``fit``.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Column names; after ``fit``, if `X` was a frame.
    sampling_rate_ : float or None
        Samples a second of the windows, in Hz, if `X` was :class:`Windows` and told; None for rows. After ``fit``.
    window_fields_ : dict of str to str
        As in :class:`TransferClassifier`; after ``fit``.
    fits_source_ : bool
        Whether the rows of ``fit`` looked to the backbone as those of its source did; after ``fit``.
    n_outputs_ : int
        Number of values a row; after ``fit``.
    device_ : str
        Where the network is now; after ``fit``.

    See Also
    --------
    SourceClassifier : The same for classes.
    TransferRegressor : Begins here, and learns from the machine at hand.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer import SourceRegressor, TransferRegressor
    >>> X = np.random.default_rng(0).normal(size=(300, 3))
    >>> source = TransferRegressor(random_state=0).fit(X, 40 + 5 * X[:, 0])
    >>> SourceRegressor(source.backbone_).predict(X[:2]).shape
    (2,)
    """

    def __init__(self, backbone=None, *, device="auto", n_jobs=None):
        self.backbone = backbone
        self.device = device
        self.n_jobs = n_jobs

    @with_callbacks
    def fit(self, X, y=None):
        """Check columns or channels; nothing is learned from them.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_windows, n_channels, window_length)
            Rows, or windows, as the backbone takes them, scaled as those of its source were.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), optional
            Not learned from; another number of values a row than the source head predicts is an error.

        Returns
        -------
        self : SourceRegressor

        Raises
        ------
        ValueError
            If the backbone has no source head of a regression, or if columns, channels, length or sampling rate do not
            fit it.
        """
        return self._fit(X, y)

    def predict(self, X):
        """Value of each row, in the unit of the labels of the source.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_windows, n_channels, window_length)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)

        Raises
        ------
        ValueError
            As ``fit``, and if a value is missing or infinite, or there is no row.
        """
        values, confidence = self._ready(X)._outputs(X)
        warn_of_range(type(self).__name__, count_out_of_range(confidence), len(values))
        return values if values.shape[1] > 1 else values[:, 0]

    def _chosen(self, backbone: Backbone, source: Source, weight: np.ndarray, bias: np.ndarray) -> Rows:
        if source.classes is not None:
            raise ValueError(
                f"SourceRegressor: the source head of backbone {backbone.name!r} tells classes, not numbers. Use "
                "SourceClassifier."
            )
        return weight, bias

    def _check_labels(self, y: Any, n_rows: int) -> None:
        values = check_values(type(self).__name__, y, n_rows).reshape(n_rows, -1)
        if values.shape[1] != self.n_outputs_:
            raise ValueError(
                f"SourceRegressor got y with {counted(values.shape[1], 'value')} a row, but the source head of "
                f"backbone {self.backbone_.name!r} predicts {self.n_outputs_}."
            )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True  # for all that y says
        return tags
