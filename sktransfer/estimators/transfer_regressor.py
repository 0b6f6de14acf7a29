"""TransferRegressor: a pretrained network for remaining life, wear and soft sensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import RegressorMixin

from sktransfer.estimators.base import TransferEstimator
from sktransfer.exceptions import OutOfRangeWarning
from sktransfer.inference.out_of_range import count_out_of_range, warn_of_range
from sktransfer.utils.callbacks import with_callbacks
from sktransfer.utils.counted_warnings import CountedWarning, warn_of
from sktransfer.utils.precision import least_spread
from sktransfer.validation.labels import check_values
from sktransfer.validation.sentinels import warn_of_sentinel_labels

if TYPE_CHECKING:
    from sktransfer.training.tasks import Regression

_ENOUGH = 30  # labels that show a range
_SOME = 0.01  # of the predictions lie outside by chance, where there are many


class TransferRegressor(RegressorMixin, TransferEstimator):
    """Predict numbers with a pretrained backbone and a new head.

    Parameters
    ----------
    backbone : Backbone, FromScratch, str, path or None, default=None
        The pretrained network, of a classification or a regression; None: from scratch.
    block : {"auto", "tag", "pooled", "both"}, default="auto"
        Features by tag, of all tags pooled, or both, as in :class:`TransferClassifier`.
    head : LinearHead, MLPHead or None, default=None
        The new network on top; None: ``LinearHead()``.
    strategy : Strategy or None, default=None
        What may change; None: ``ProbeThenTune()`` if there is a backbone, full training if there is none.
    max_epochs : int or "auto", default="auto"
        Passes over the rows where something is trained by gradient; ``"auto"``: as in :class:`TransferClassifier`.
    lr : float, default=0.001
        Learning rate of the head at the first step; it decays to zero by a cosine.
    batch_size : int or "auto", default="auto"
        Rows a step; ``"auto"``: as in :class:`TransferClassifier`.
    callbacks : list of skorch callbacks or None, default=None
        Called while something trains by epochs. Scores of theirs are of values with mean 0 and deviation 1.
    device : str, default="auto"
        ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or ``"auto"``, as in :class:`TransferClassifier`.
    n_jobs : int or None, default=None
        Threads inside ``fit`` and ``predict``; None: 1.
    random_state : int, RandomState, Generator or None, default=None
        Drives initial weights, batch order and dropout.

    Attributes
    ----------
    backbone_ : Backbone
        The backbone after this fit, with the head as its source head.
    history_ : list of dict
        As in :class:`TransferClassifier`.
    n_iter_ : int
        Epochs trained, or 1 if the head alone was solved.
    n_features_in_ : int
        Number of columns, or of channels.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Column names, if `X` was a frame.
    column_names_in_ : tuple of length n_features_in_
        Column names that are no text (numbers, a MultiIndex), or those of the frame that a scaler was given.
    channel_names_in_ : tuple of length n_features_in_
        Names of the channels, if `X` was :class:`Windows` that know them.
    sampling_rate_ : float or None
        Samples a second of the windows, in Hz, if `X` was :class:`Windows` and told; None for rows.
    window_fields_ : dict of str to str
        Whether ``"all"``, ``"some"`` or ``"none"`` of the windows of ``fit`` knew their ``sampling_rate``, ``rpm`` and
        ``orders``, if the backbone reads them.
    fits_source_ : bool
        Whether the rows of ``fit`` looked to the backbone as those of its source did; if not, ``fit`` and ``predict``
        warn.
    n_outputs_ : int
        Number of values a row.
    y_range_ : ndarray of shape (2, n_outputs_) or None
        Smallest and largest label; None for fewer than thirty rows. ``predict`` warns of values that lie outside by
        more than the whole range.
    device_ : str
        Where the network is now.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer import TransferRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(300, 3))
    >>> wear = X[:, 0] - 2 * np.abs(X[:, 1])
    >>> model = TransferRegressor(random_state=0).fit(X, wear)
    >>> model.predict(X[:2]).shape
    (2,)
    """

    def __init__(
        self,
        backbone=None,
        *,
        block="auto",
        head=None,
        strategy=None,
        max_epochs="auto",
        lr=0.001,
        batch_size="auto",
        callbacks=None,
        device="auto",
        n_jobs=None,
        random_state=None,
    ):
        self.backbone = backbone
        self.block = block
        self.head = head
        self.strategy = strategy
        self.max_epochs = max_epochs
        self.lr = lr
        self.batch_size = batch_size
        self.callbacks = callbacks
        self.device = device
        self.n_jobs = n_jobs
        self.random_state = random_state

    @with_callbacks
    def fit(self, X, y, sample_weight=None):
        """Fit the head, and what the strategy lets change, to rows with known values.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_windows, n_channels, window_length)
            Rows, or windows, as the backbone takes them, scaled as those of its source were.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Values in any unit.
        sample_weight : array-like of shape (n_samples,), optional
            Weight of each row: whole numbers count rows, of other weights only the ratios count.

        Returns
        -------
        self : TransferRegressor

        Raises
        ------
        ValueError
            If the rows, values or parameters cannot be used, or training diverges.
        """
        return self._fit(X, y, sample_weight)

    def predict(self, X):
        """Value of each row, in the unit of ``y``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_windows, n_channels, window_length)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)

        Raises
        ------
        NotFittedError
            Before ``fit``.
        ValueError
            If columns, channels or the sampling rate differ from those of ``fit``, a value is missing or infinite,
            or there is no row.
        """
        outputs, confidence = self._outputs(X)
        warn_of_range(type(self).__name__, count_out_of_range(confidence), len(outputs))
        values = self._values(outputs)
        self._warn_of_values(values)
        return values

    def _warn_of_values(self, values: np.ndarray) -> None:
        """Warn of values further outside those of ``fit`` than these lie apart."""
        seen = self.__dict__.get("y_range_")
        if seen is None:
            return
        low, high = seen
        span = np.where(high > low, high - low, np.inf)
        found = values.reshape(len(values), -1)
        outside = int(((found < low - span) | (found > high + span)).any(axis=1).sum())
        text = (
            f"{type(self).__name__}: {{count}} of {{total}} predictions lie outside the values of y in fit by more "
            "than the whole range of these. A linear head has no bounds; such values are a guess. Check the rows, or "
            "clip what cannot be, such as a negative life."
        )
        warn_of(CountedWarning(text, OutOfRangeWarning, outside if outside > _SOME * len(values) else 0, len(values)))

    def _values(self, outputs: np.ndarray) -> np.ndarray:
        """Outputs in the unit and shape of ``y``."""
        values = outputs * self.y_scale_ + self.y_center_
        return values if self.y_was_2d_ else values[:, 0]

    def _check_y(self, y: Any, weight: np.ndarray, n_rows: int) -> tuple[np.ndarray, Regression]:
        from sktransfer.training.tasks import Regression

        y = check_values(type(self).__name__, y, n_rows)
        self.y_was_2d_ = y.ndim == 2
        values = y.reshape(n_rows, -1)
        self.y_center_ = np.average(values, axis=0, weights=weight)
        scale = np.sqrt(np.average((values - self.y_center_) ** 2, axis=0, weights=weight))
        # a spread below rounding is none: divided by it, the rounding of a constant would be what is learned
        self.y_scale_ = np.where(scale > least_spread(np.abs(values).max(axis=0), np.float64), scale, 1.0)
        used = values[weight > 0]
        self.y_range_ = np.array([used.min(axis=0), used.max(axis=0)]) if len(used) >= _ENOUGH else None
        warn_of_sentinel_labels(type(self).__name__, used)
        return (values - self.y_center_) / self.y_scale_, Regression(self.y_center_, self.y_scale_)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
