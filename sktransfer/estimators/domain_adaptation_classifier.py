"""DomainAdaptationClassifier: rows of source and target machines in one fit of a network."""

from __future__ import annotations

from sktransfer.estimators.domain_adaptation import CONSTRAINTS, DomainAdaptation
from sktransfer.estimators.transfer_classifier import TransferClassifier
from sktransfer.utils.callbacks import with_callbacks


class DomainAdaptationClassifier(DomainAdaptation, TransferClassifier):
    """Classify rows of a target machine by one network that is fitted to source and target rows together.

    Each batch holds rows of every source machine, labelled rows of the target, and rows of the target with and without
    a label, whose features an alignment draws towards those of the sources. With the source's rows at hand, one joint
    fit makes more of a few labels than a network of the source that goes on to the target.

    Parameters
    ----------
    backbone : Backbone, FromScratch, str, path or None, default=None
        What the fit begins with, as in :class:`sktransfer.TransferClassifier`; None: an untrained network.
    alignment : Alignment, "auto" or None, default="auto"
        :class:`sktransfer.DeepCORAL`, :class:`sktransfer.MMD`, :class:`sktransfer.MCC`, :class:`sktransfer.DANN`.
        ``Guarded(...)`` of one takes it back where it seems to do harm.
        ``"auto"``: ``MCC()`` where there are at least 32 target rows without a label and blocks learn, else None. None:
        the labels of all machines alone.
    target_weight : float or "auto", default="auto"
        Share of the labelled target rows in the loss of the labels, between 0 and 1; the source machines share the
        rest equally. ``"auto"``: a half, however few they are.
    unlabelled_label : object, default=-1
        The value of ``y`` that marks a target row without a label. Among texts None does, too.
    target_domain : int, str, sequence of them or None, default=None
        The values of ``sample_domain`` that are targets; None: the negative numbers.
    strategy : Strategy or None, default=None
        What may change; None: ``ProbeThenTune()`` if there is a backbone, full training if there is none.
    max_epochs : int or "auto", default="auto"
        Passes over the labelled rows; ``"auto"``: about a thousand steps.
    lr : float, default=0.001
        Learning rate of the head.
    batch_size : int or "auto", default="auto"
        About the number of labelled rows in a step, half of them of the sources; a stream with fewer rows gives what
        it has. An alignment gets half as many rows of the target beside them.
    device : str, default="auto"
        ``"cpu"``, ``"cuda"``, or ``"auto"``: CUDA where there is one.
    n_jobs : int or None, default=None
        Threads inside ``fit`` and ``predict``; None: 1.
    random_state : int, RandomState, Generator or None, default=None
        Drives initial weights, batch order and dropout, by generators of its own.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Classes of all machines.
    domains_ : dict of int to object
        Number of each machine, positive for sources and negative for targets, and what ``sample_domain`` called it.
    alignment_ : Alignment or None
        What was used; None where a guard refused.
    report_ : dict
        With :class:`sktransfer.Guarded` alone: whether the fit ``adapted`` and the ``reason`` if not; ``source_shares``
        of the classes, ``shares_before`` and ``shares_after`` that are predicted for the target without and with the
        alignment, each of shape (n_classes,); the ``total_variation`` of the first two; ``agreement`` of both networks.
    n_unlabelled_ : int
        Target rows without a label.
    backbone_, history_, n_iter_, n_features_in_, feature_names_in_, fits_source_, n_outputs_, device_
        As in :class:`sktransfer.TransferClassifier`; records of ``history_`` hold the mean ``alignment_loss`` of the
        epoch.

    See Also
    --------
    TransferClassifier : Where the source's rows are not at hand, but a network of them.
    Pooled : Any other estimator on rows of several machines.

    Notes
    -----
    Scale each machine by itself first (``BaselineScaler`` takes ``sample_domain``): that is worth more than any
    alignment, which comes on top of it. Alignments that compare the two machines (DeepCORAL, MMD, DANN) assume that
    classes are about as common on both; MCC does not.

    References
    ----------
    Jin, Wang, Long and Wang (2020). Minimum class confusion for versatile domain adaptation. ECCV 2020, 464-480.
    doi:10.1007/978-3-030-58589-1_28.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer import DomainAdaptationClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(400, 4))
    >>> y = np.where(X[:, 0] * X[:, 1] > 0, "normal", "leak").astype(object)
    >>> sample_domain = np.repeat([1, -1], 200)
    >>> y[210:] = None  # ten labels on the target machine
    >>> model = DomainAdaptationClassifier(max_epochs=5, random_state=0).fit(X, y, sample_domain=sample_domain)
    >>> model.predict(X[200:]).shape, model.n_unlabelled_
    ((200,), 190)
    """

    _parameter_constraints = {
        **{
            key: value
            for key, value in TransferClassifier._parameter_constraints.items()
            if key not in ("block", "head", "class_weight", "callbacks")
        },
        **CONSTRAINTS,
    }
    class_weight = None

    def __init__(
        self,
        backbone=None,
        *,
        alignment="auto",
        target_weight="auto",
        unlabelled_label=-1,
        target_domain=None,
        strategy=None,
        max_epochs="auto",
        lr=0.001,
        batch_size="auto",
        device="auto",
        n_jobs=None,
        random_state=None,
    ):
        self.backbone = backbone
        self.alignment = alignment
        self.target_weight = target_weight
        self.unlabelled_label = unlabelled_label
        self.target_domain = target_domain
        self.strategy = strategy
        self.max_epochs = max_epochs
        self.lr = lr
        self.batch_size = batch_size
        self.device = device
        self.n_jobs = n_jobs
        self.random_state = random_state

    @with_callbacks
    def fit(self, X, y, sample_domain=None, sample_weight=None):
        """Fit one network to the rows of all machines.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_windows, n_channels, window_length)
            Rows of all machines, each machine scaled by itself.
        y : array-like of shape (n_samples,)
            Class of each row; ``unlabelled_label`` or None for target rows without one.
        sample_domain : array-like of shape (n_samples,)
            Machine of each row: whole numbers, positive for sources and negative for targets; or any whole numbers or
            texts, with ``target_domain``. Without it, a warning, and the fit of a
            :class:`sktransfer.TransferClassifier` to all rows.
        sample_weight : array-like of shape (n_samples,), optional
            Weight of each row among those of its machine.

        Returns
        -------
        self : DomainAdaptationClassifier

        Raises
        ------
        ValueError
            Without source or target rows, if a source row has no label, if no target row has one and nothing is
            aligned, and as :meth:`sktransfer.TransferClassifier.fit`.
        """
        return self._fit_domains(X, y, sample_domain, sample_weight)
