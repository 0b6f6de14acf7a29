"""SafeTransferRegressor: transfer of numbers where it pays, and the plain alternative where it does not."""

from __future__ import annotations

import numpy as np
from sklearn.base import RegressorMixin

from sktransfer.evaluation.held_out import Labelled
from sktransfer.evaluation.safe_transfer import SafeTransfer
from sktransfer.validation.labels import check_values


class SafeTransferRegressor(RegressorMixin, SafeTransfer):
    """Choose between transfer and the plain alternatives by the labelled rows, and answer with the best.

    As :class:`sktransfer.SafeTransferClassifier`, for remaining life, soft sensors and emissions. Compared are the
    source network as it is, a probed and a fine-tuned one, the same network from scratch, ridge regression, extra trees
    and boosting on the labels alone; and where rows of the source are given, a joint network, pooled ridge regression
    and pooled extra trees.

    Parameters
    ----------
    backbone : Backbone, str, path or None, default=None
        The pretrained network. None: one is trained on the rows of the source, where they are given.
    candidates : dict of str to estimator or "default", default="default"
        What to choose from, the simplest first. One whose ``fit`` takes ``sample_domain`` gets the rows of all
        machines, every other one the labelled rows of the target.
    rule : {"average", "simplest"}, default="average"
        Who answers: all candidates that are let in, by the mean of their values, each with a vote by its loss; or the
        first of them that is within one standard error of the best.
    cv : int, splitter, iterable or "auto", default="auto"
        How labelled rows of the target are held out. ``"auto"``: five steps forward in the order of the rows, because
        rows of a regression mostly come in time order; whole groups if ``groups`` are passed.
    unlabelled_label : object, default=nan
        The value of ``y`` that marks a target row without a label, with ``sample_domain``.
    target_domain : int, str, sequence of them or None, default=None
        The values of ``sample_domain`` that are targets; None: the negative numbers.
    memory : str, joblib.Memory or None, default=None
        Where the losses of each candidate and fold are kept.
    n_jobs : int or None, default=None
        Fits at the same time; -1: as many as there are processors.
    random_state : int, RandomState, Generator or None, default=None
        Of all candidates by default.

    Attributes
    ----------
    chosen_, votes_, report_, estimators_, n_features_in_, feature_names_in_
        As in :class:`sktransfer.SafeTransferClassifier`; ``loss`` is the mean squared error of the rows
        held out, and a vote goes by its excess as a share of the least loss.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer import SafeTransferRegressor
    >>> X = np.random.default_rng(0).normal(size=(30, 3))
    >>> y = 3 * X[:, 0] + 10
    >>> SafeTransferRegressor(random_state=0).fit(X, y).chosen_
    ['ridge regression']
    """

    _is_regressor = True

    def __init__(
        self,
        backbone=None,
        *,
        candidates="default",
        rule="average",
        cv="auto",
        unlabelled_label=np.nan,
        target_domain=None,
        memory=None,
        n_jobs=None,
        random_state=None,
    ):
        self.backbone = backbone
        self.candidates = candidates
        self.rule = rule
        self.cv = cv
        self.unlabelled_label = unlabelled_label
        self.target_domain = target_domain
        self.memory = memory
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(self, X, y, sample_domain=None, groups=None):
        """Compare the candidates on rows held out, and fit those that answer to all labelled rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_windows, n_channels, window_length)
            Rows of the target, each machine scaled by itself; with ``sample_domain`` also those of the sources.
        y : array-like of shape (n_samples,)
            Value of each row.
        sample_domain : array-like of shape (n_samples,), optional
            Machine of each row, as in :meth:`sktransfer.SafeTransferClassifier.fit`.
        groups : array-like of shape (n_samples,), optional
            Run or machine of each row; those of one group are held out together.

        Returns
        -------
        self : SafeTransferRegressor

        Raises
        ------
        ValueError
            Without two labelled rows of the target, or if all of these are of one group.
        """
        return self._fit_safely(X, y, sample_domain, groups)

    def predict(self, X):
        """Mean of the values of the chosen candidates, of shape (n_samples,)."""
        return self._answer(X)

    def _checked_labels(self, y: np.ndarray) -> np.ndarray:
        y = check_values(type(self).__name__, y, len(y))
        if y.ndim > 1:
            raise ValueError(f"{type(self).__name__} predicts one number a row; y has shape {y.shape}.")
        return y

    def _coded(self, y: np.ndarray) -> tuple[np.ndarray, None]:
        return y, None

    def _weights_and_chance(self, data: Labelled) -> tuple[np.ndarray, float]:
        """Equal weights, and the loss of the mean."""
        return np.ones(len(data.labelled)), float(np.var(data.codes[data.labelled]))
