"""DomainAdaptationRegressor: values of a target machine by a network fitted to source and target rows."""

from __future__ import annotations

import numpy as np

from sktransfer.estimators.domain_adaptation import CONSTRAINTS, DomainAdaptation
from sktransfer.estimators.transfer_regressor import TransferRegressor
from sktransfer.utils.callbacks import with_callbacks


class DomainAdaptationRegressor(DomainAdaptation, TransferRegressor):
    """Predict numbers on a target machine by one network that is fitted to source and target rows together.

    As :class:`sktransfer.DomainAdaptationClassifier`, for remaining life, soft sensors and emissions.

    Parameters
    ----------
    backbone : Backbone, FromScratch, str, path or None, default=None
        What the fit begins with, as in :class:`sktransfer.TransferRegressor`; None: an untrained network.
    alignment : Alignment, "auto" or None, default=None
        :class:`sktransfer.DeepCORAL`, :class:`sktransfer.MMD` or :class:`sktransfer.DANN`. ``"auto"``: ``DeepCORAL()``
        where there are at least 32 target rows without a label, else None. None: the labels of all machines alone;
        aligned features forget what shifts the values of a whole machine, so that it is not the default.
    target_weight : float or "auto", default="auto"
        Share of the labelled target rows in the loss of the labels, between 0 and 1; the source machines share the
        rest equally. ``"auto"``: a half, however few they are.
    unlabelled_label : object, default=nan
        The value of ``y`` that marks a target row without a label.
    target_domain : int, str, sequence of them or None, default=None
        The values of ``sample_domain`` that are targets; None: the negative numbers.
    strategy : Strategy or None, default=None
        What may change; None: ``ProbeThenTune()`` if there is a backbone, full training if there is none.
    max_epochs : int or "auto", default="auto"
        Passes over the labelled rows; ``"auto"``: about a thousand steps.
    lr : float, default=0.001
        Learning rate of the head.
    batch_size : int or "auto", default="auto"
        As in :class:`sktransfer.DomainAdaptationClassifier`.
    device : str, default="auto"
        ``"cpu"``, ``"cuda"``, or ``"auto"``: CUDA where there is one.
    n_jobs : int or None, default=None
        Threads inside ``fit`` and ``predict``; None: 1.
    random_state : int, RandomState, Generator or None, default=None
        Drives initial weights, batch order and dropout, by generators of its own.

    Attributes
    ----------
    y_center_, y_scale_ : ndarray of shape (n_outputs,)
        Weighted mean and standard deviation of the labels of all machines.
    domains_, alignment_, n_unlabelled_
        As in :class:`sktransfer.DomainAdaptationClassifier`.
    backbone_, history_, n_iter_, n_features_in_, feature_names_in_, fits_source_, n_outputs_, device_
        As in :class:`sktransfer.TransferRegressor`.

    See Also
    --------
    DomainAdaptationClassifier : The same for classes.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer import DomainAdaptationRegressor
    >>> X = np.random.default_rng(0).normal(size=(300, 3))
    >>> y = X[:, 0] + 10
    >>> sample_domain = np.repeat([1, -1], 150)
    >>> model = DomainAdaptationRegressor(max_epochs=5, random_state=0).fit(X, y, sample_domain=sample_domain)
    >>> model.predict(X[150:]).shape
    (150,)
    """

    _parameter_constraints = {
        **{
            key: value
            for key, value in TransferRegressor._parameter_constraints.items()
            if key not in ("block", "head", "callbacks")
        },
        **CONSTRAINTS,
    }

    def __init__(
        self,
        backbone=None,
        *,
        alignment=None,
        target_weight="auto",
        unlabelled_label=np.nan,
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
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Values in any unit; ``unlabelled_label`` for target rows without one.
        sample_domain : array-like of shape (n_samples,)
            Machine of each row, as in :meth:`sktransfer.DomainAdaptationClassifier.fit`.
        sample_weight : array-like of shape (n_samples,), optional
            Weight of each row among those of its machine.

        Returns
        -------
        self : DomainAdaptationRegressor

        Raises
        ------
        ValueError
            Without source or target rows, if a source row has no label, if no target row has one and nothing is
            aligned, and as :meth:`sktransfer.TransferRegressor.fit`.
        """
        return self._fit_domains(X, y, sample_domain, sample_weight)
