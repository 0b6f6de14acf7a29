"""SourceClassifier: the classes that a backbone knows already, without a label of the machine at hand."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

import numpy as np
from sklearn.utils.multiclass import check_classification_targets

from sktransfer.backbones.backbone import Backbone
from sktransfer.backbones.source import Source
from sktransfer.estimators.class_predictions import ClassPredictions
from sktransfer.estimators.source_estimator import Rows, SourceEstimator
from sktransfer.utils.callbacks import with_callbacks
from sktransfer.utils.counted_warnings import warn_caller
from sktransfer.validation.labels import check_labels, is_numbered


class SourceClassifier(ClassPredictions, SourceEstimator):
    """Classify by the source head of a backbone: zero labels.

    What the network of the source machines says of this one: the answer before there are labels, and what a transfer
    must not fall below. Nothing is learned. ``fit`` compares the columns or channels of `X` with what the backbone
    takes; ``predict`` works without it, too.

    Parameters
    ----------
    backbone : Backbone, str, path or None, default=None
        The pretrained network with its source head; a file name or shipped name is loaded by
        :func:`sktransfer.load_backbone`. None, an estimator without parameters, predicts nothing.
    classes : sequence or None, default=None
        The classes to choose from, some of those that the source head knows; None: all of them. Probabilities are then
        those of a sample that is known to be one of these.
    device : str, default="auto"
        As in :class:`sktransfer.TransferClassifier`.
    n_jobs : int or None, default=None
        Threads inside ``predict``; None: 1; -1: as many as torch has.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Classes in the order of the columns of ``predict_proba``: that of the source head.
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
        Number of classes; after ``fit``.
    device_ : str
        Where the network is now; after ``fit``.

    See Also
    --------
    SourceRegressor : The same for a source that predicts numbers.
    TransferClassifier : Begins here, and learns from labelled rows of the machine at hand.
    list_backbones : The shipped ones.

    Examples
    --------
    >>> from sktransfer import BaselineScaler, SourceClassifier, load_tep_mode4, make_pipeline
    >>> plant = load_tep_mode4()
    >>> healthy = plant.data[plant.target == "normal"]
    >>> model = make_pipeline(BaselineScaler().fit(healthy), SourceClassifier("tep-process"))
    >>> model.predict(plant.data[plant.target == "idv06-a-feed-loss"].tail(2))
    array(['idv06-a-feed-loss', 'idv06-a-feed-loss'], dtype=object)
    """

    _parameter_constraints = {**SourceEstimator._parameter_constraints, "classes": ["array-like", None]}

    def __init__(self, backbone=None, *, classes=None, device="auto", n_jobs=None):
        self.backbone = backbone
        self.classes = classes
        self.device = device
        self.n_jobs = n_jobs

    @with_callbacks
    def fit(self, X, y=None):
        """Check columns or channels; nothing is learned from them.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_windows, n_channels, window_length)
            Rows, or windows, as the backbone takes them, scaled as those of its source were.
        y : array-like of shape (n_samples,), optional
            Not learned from, but compared: classes in it that the source head does not have are a warning.

        Returns
        -------
        self : SourceClassifier

        Raises
        ------
        ValueError
            If the backbone has no source head of classes or not those of ``classes``, or if columns, channels, length
            or sampling rate do not fit it.
        """
        return self._fit(X, y)

    @property
    def classes_(self) -> np.ndarray:
        """Classes in the order of the columns of ``predict_proba``."""
        return self.__dict__["_classes"] if "_predictor" in self.__dict__ else self._known_classes()

    def _known_classes(self) -> np.ndarray:
        backbone = self._opened()
        source, _ = self._head(backbone)
        return np.asarray(source.classes)[self._used(backbone, source)]

    def _make_ready(self, X: Any) -> np.ndarray:
        X = super()._make_ready(X)
        self._classes = self._known_classes()  # parameters may be set after the fit
        return X

    def _chosen(self, backbone: Backbone, source: Source, weight: np.ndarray, bias: np.ndarray) -> Rows:
        if source.classes is None:
            raise ValueError(
                f"{type(self).__name__}: the source head of backbone {backbone.name!r} predicts numbers, not classes. "
                "Use SourceRegressor."
            )
        used = self._used(backbone, source)
        return weight[used], bias[used]

    def _used(self, backbone: Backbone, source: Source) -> np.ndarray:
        """Numbers of the rows of the source head that ``classes`` names, ascending."""
        known = np.asarray(source.classes).tolist()
        if self.classes is None:
            return np.arange(len(known))
        wanted = np.asarray(self.classes, dtype=object).ravel().tolist()
        unknown = [name for name in wanted if name not in known]
        if unknown or len(set(wanted)) < max(2, len(wanted)):
            near = get_close_matches(str(unknown[0]), [str(name) for name in known], n=1) if unknown else []
            hint = f" Did you mean {near[0]!r}?" if near else ""
            found = f"{unknown}, which it does not have" if unknown else f"{wanted}"
            raise ValueError(
                f"{type(self).__name__}: classes names two or more of the classes of backbone {backbone.name!r}, each "
                f"once; got {found}.{hint} It has {known}."
            )
        return np.array([row for row, name in enumerate(known) if name in wanted])

    def _check_labels(self, y: Any, n_rows: int) -> None:
        y = check_labels(type(self).__name__, y, n_rows)
        check_classification_targets(y)
        known, found = set(self.classes_.tolist()), np.unique(y).tolist()
        missing = [label for label in found if label not in known]
        if missing:
            remedy = "Give them the names that classes_ lists, or learn them with TransferClassifier(backbone)."
            if is_numbered(found):
                remedy = (
                    "They look as if they had been renumbered, as VotingClassifier and cross_val_predict(method="
                    f"'predict_proba') do; the columns of predict_proba stand for {self.classes_.tolist()}."
                )
            warn_caller(
                f"SourceClassifier: y holds {len(missing)} of {len(found)} classes that are not among those of the "
                f"source head (first: {missing[:5]}), so rows of them are never right. {remedy}"
            )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.poor_score = True  # for all that y says
        return tags
