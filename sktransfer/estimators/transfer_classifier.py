"""TransferClassifier: a pretrained fault network as a scikit-learn classifier."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.multiclass import check_classification_targets

from sktransfer.estimators.base import TransferEstimator
from sktransfer.estimators.class_predictions import ClassPredictions
from sktransfer.utils.callbacks import with_callbacks
from sktransfer.utils.parameters import InvalidParameterError
from sktransfer.validation.labels import check_labels
from sktransfer.validation.quality import warn_of_single_rows

if TYPE_CHECKING:
    from sktransfer.training.fit import FitResult
    from sktransfer.training.tasks import Classification


class TransferClassifier(ClassPredictions, TransferEstimator):
    """Classify rows of a table, or windows of signals, with a pretrained backbone and a new head.

    Parameters
    ----------
    backbone : Backbone, FromScratch, str, path or None, default=None
        The pretrained network; a file name or shipped name is loaded by :func:`sktransfer.load_backbone`.
        None or :class:`sktransfer.FromScratch`: an untrained network, the "no transfer" baseline and the way to
        pretrain.
    block : {"auto", "tag", "pooled", "both"}, default="auto"
        Which features of a network of windows the head gets, where the network keeps channels (tags) apart before it
        pools them, as "process" does: ``"tag"``: those of each tag, one tag after the other; the estimator then takes
        the tags of ``fit`` in their order. ``"pooled"``: those of all tags pooled, which have forgotten which tag it
        was; only on them the source head of "process" can begin or pull, by tag the head begins from zero. ``"both"``:
        side by side. ``"auto"``: by tag; what was fitted with another block stays with it, a head that asks for the
        source head gets pooled features (``init="source"``) or both (stated classes), and every other network returns
        what it returns.
    head : LinearHead, MLPHead or None, default=None
        The new network on top; None: ``LinearHead()``.
    strategy : Strategy or None, default=None
        What may change: ``LinearProbing()``, ``FineTuning(n_frozen_blocks=2)``, ``ProbeThenTune()``, ... and
        combinations with ``&``. None: ``ProbeThenTune()`` if there is a backbone, full training
        if there is none.
    max_epochs : int or "auto", default="auto"
        Passes over the rows where something is trained by gradient; ``"auto"``: about a thousand steps, between 10
        and 500 epochs, ended early when the mean loss of an epoch is below 0.001. A head that is solved exactly
        needs none.
    lr : float, default=0.001
        Learning rate of the head at the first step; it decays to zero by a cosine. Blocks learn at this rate times
        what the strategy answers.
    batch_size : int or "auto", default="auto"
        Rows a step, at least 2 being used because of BatchNorm; ``"auto"``: the largest power of two between 32 and
        256 that gives at least 14 batches.
    class_weight : dict, "balanced" or None, default=None
        Factor on the weight of each class's rows; ``"balanced"`` makes all classes weigh the same.
    callbacks : list of skorch callbacks or None, default=None
        Called while something trains by epochs, as they are, so that you can read them afterwards. There is no
        validation split: monitor ``"train_loss"``, and score with ``EpochScoring(..., on_train=True)``, for which a
        class is its number in ``classes_``. The learning rate follows its cosine whatever a scheduler says.
    device : str, default="auto"
        ``"cpu"``, ``"cuda"``, ``"cuda:1"``, or ``"auto"``: CUDA where there is one. Resolved at ``fit`` and at
        ``predict``, never stored. A network of common layers predicts on the CPU without torch; ``"auto"`` does not
        import torch only to look for CUDA, so that a process in which nothing has imported it predicts on the CPU.
    n_jobs : int or None, default=None
        Threads inside ``fit`` and ``predict``; None: 1, which is fastest for small networks on busy machines;
        -1: as many as torch has.
    random_state : int, RandomState, Generator or None, default=None
        Drives initial weights, batch order and dropout, by generators of its own.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Classes in the order of the columns of ``predict_proba``.
    backbone_ : Backbone
        The backbone after this fit, with the head as its source head: what the next fit can begin with.
    source_classes_ : list of length n_classes
        Of each class the class of the source head that its row began at, or None; see
        :class:`sktransfer.LinearHead`.
    history_ : list of dict
        One record an epoch with ``train_loss`` and ``frozen_blocks``; before them, if the head was solved, one with
        ``alpha`` (strength of the penalty towards the source head), ``temperature`` (by which its logits are divided,
        at the end where something trains after it) and ``n_iter``.
    n_iter_ : int
        Epochs trained, or iterations of the solver if the head alone was solved.
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
        Number of classes.
    class_distances_ : ndarray of shape (n_classes,)
        Mean over the training rows of each class of their largest distance, over columns, from the middle of the
        training range, which is zero where the range holds zero. Healthy rows lie nearest.
    device_ : str
        Where the network is now.

    See Also
    --------
    TransferRegressor : The same for remaining life and soft sensors.
    Windows : What `X` may be where the sampling rate matters.
    FeatureExtractor : The frozen backbone as a transformer.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer import TransferClassifier
    >>> rng = np.random.default_rng(0)
    >>> X_source, X_target = rng.normal(size=(400, 4)), rng.normal(size=(8, 4))
    >>> label = lambda X: np.where(X[:, 0] * X[:, 1] > 0, "normal", "leak")
    >>> source = TransferClassifier(random_state=0).fit(X_source, label(X_source))
    >>> target = TransferClassifier(source.backbone_).fit(X_target, label(X_target))
    >>> bool(target.score(X_source, label(X_source)) > 0.9)
    True
    """

    _parameter_constraints = {**TransferEstimator._parameter_constraints, "class_weight": [dict, str, None]}

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
        class_weight=None,
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
        self.class_weight = class_weight
        self.callbacks = callbacks
        self.device = device
        self.n_jobs = n_jobs
        self.random_state = random_state

    @with_callbacks
    def fit(self, X, y, sample_weight=None):
        """Fit the head, and what the strategy lets change, to labelled rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_windows, n_channels, window_length)
            Rows, or windows, as the backbone takes them, scaled as those of its source were.
        y : array-like of shape (n_samples,)
            Class of each row: text, numbers or booleans.
        sample_weight : array-like of shape (n_samples,), optional
            Weight of each row: whole numbers count rows, of other weights only the ratios count. A weight of two is
            the row twice, a half for every row is one for every row.

        Returns
        -------
        self : TransferClassifier

        Raises
        ------
        ValueError
            If the rows, labels or parameters cannot be used, or training diverges.
        """
        return self._fit(X, y, sample_weight)

    def _set_fitted(self, result: FitResult) -> Any:
        self.source_classes_ = result.source_classes
        if result.class_distances is not None:
            self.class_distances_ = result.class_distances
        return super()._set_fitted(result)

    def _check_y(self, y: Any, weight: np.ndarray, n_rows: int) -> tuple[np.ndarray, Classification]:
        from sktransfer.training.tasks import Classification

        name = type(self).__name__
        y = check_labels(name, y, n_rows)
        check_classification_targets(y)
        classes = np.unique(y[weight > 0])
        if len(classes) < 2:
            counted = "" if weight.all() else ", counting the rows whose sample_weight is above zero"
            raise ValueError(
                f"{name} needs rows of at least two classes, so at least 2 rows. y holds {len(classes)} class"
                f"{'' if len(classes) == 1 else 'es'}: {classes.tolist()}{counted}."
            )
        counts = np.array([(y == c).sum() for c in classes])
        warn_of_single_rows(name, classes, counts)
        if isinstance(self.class_weight, str) and self.class_weight != "balanced":
            raise InvalidParameterError(
                f"The 'class_weight' parameter of {name} must be a dict, 'balanced' or None. Got {self.class_weight!r} "
                "instead."
            )
        self.classes_ = classes
        # rows of weight zero may carry other labels; they are dropped before training
        codes = np.minimum(np.searchsorted(classes, y), len(classes) - 1)
        return codes.astype(np.int64), Classification(classes, self.class_weight)
