"""SafeTransferClassifier: transfer where it pays, and the plain alternative where it does not."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets

from sktransfer.evaluation.held_out import Labelled
from sktransfer.evaluation.safe_transfer import SafeTransfer
from sktransfer.validation.labels import check_labels


class SafeTransferClassifier(ClassifierMixin, SafeTransfer):
    """Choose between transfer and the plain alternatives by the labelled rows, and answer with those that help.

    Compared are the source network as it is, a probed and a fine-tuned one, the same network from scratch, logistic
    regression, extra trees and boosting on the labels alone; and where rows of the source are given, a joint network,
    pooled logistic regression and pooled extra trees. Each is fitted to a part of the labelled rows of the target and
    asked about the others. What uses the source is let in if it is better than what does not by more than one standard
    error, all candidates of each side together; then each votes with ``exp(-5 excess)``, where the excess is its Brier
    score beyond the least.

    Parameters
    ----------
    backbone : Backbone, str, path or None, default=None
        The pretrained network. None: one is trained on the rows of the source, where they are given.
    candidates : dict of str to estimator or "default", default="default"
        What to choose from, the simplest first. One whose ``fit`` takes ``sample_domain`` gets the rows of all
        machines, every other one the labelled rows of the target.
    rule : {"average", "simplest"}, default="average"
        Who answers: all candidates that are let in, by the mean of their probabilities, each with a vote by its loss;
        or the first of them that is within one standard error of the best.
    cv : int, splitter, iterable or "auto", default="auto"
        How labelled rows of the target are held out. ``"auto"``: five folds with equal class shares, of whole groups if
        ``groups`` are passed; single rows where a class has one row.
    unlabelled_label : object, default=-1
        The value of ``y`` that marks a target row without a label, with ``sample_domain``. Among texts None does, too.
    target_domain : int, str, sequence of them or None, default=None
        The values of ``sample_domain`` that are targets; None: the negative numbers.
    memory : str, joblib.Memory or None, default=None
        Where the losses of each candidate and fold are kept, so that a search or a second fit on the same rows does not
        compute them again.
    n_jobs : int or None, default=None
        Fits at the same time; -1: as many as there are processors.
    random_state : int, RandomState, Generator or None, default=None
        Of all candidates by default.

    Attributes
    ----------
    chosen_ : list of str
        Candidates that answer.
    votes_ : ndarray of shape (n_chosen,)
        Of each of them; they sum to one.
    report_ : pandas.DataFrame
        One row a candidate: ``loss`` (mean Brier score of the rows held out, each class with equal weight; 0 to 2),
        ``behind`` (the best, in the mean) and its ``standard_error``, ``n_rows`` that it could be asked about,
        ``seconds``, whether it was ``chosen``, its ``vote``, and ``why``.
    estimators_ : list of estimator
        The chosen ones, fitted to all labelled rows.
    classes_ : ndarray of shape (n_classes,)
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)
        If `X` was a frame.

    See Also
    --------
    compare : The same question answered in figures and words, over many draws of labels.

    Notes
    -----
    With one label a class, the row that is held out takes its class along. Then only what knows the class from the
    source can be asked: if that is better than equal probabilities, it answers, with what begins at the source's
    network; if it is not, what learns from the labels alone does.

    References
    ----------
    Breiman, Friedman, Olshen and Stone (1984). Classification and regression trees. Wadsworth: the rule of one standard
    error.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer import SafeTransferClassifier, TransferClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(500, 4))
    >>> y = np.where(X[:, 0] * X[:, 1] > 0, "normal", "leak")
    >>> source = TransferClassifier(random_state=0).fit(X[:480], y[:480]).backbone_
    >>> model = SafeTransferClassifier(source, random_state=0).fit(X[480:], y[480:])
    >>> votes = dict(zip(model.chosen_, model.votes_))  # these classes are not linear, and the network knows them
    >>> bool(votes["source as it is"] > 3 * votes.get("logistic regression", 0))
    True
    """

    def __init__(
        self,
        backbone=None,
        *,
        candidates="default",
        rule="average",
        cv="auto",
        unlabelled_label=-1,
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
            Class of each row.
        sample_domain : array-like of shape (n_samples,), optional
            Machine of each row, positive for sources and negative for targets, or with ``target_domain`` any whole
            numbers or texts. None: all rows are the target's, and have a label.
        groups : array-like of shape (n_samples,), optional
            Run or recording of each row; those of one group are held out together.

        Returns
        -------
        self : SafeTransferClassifier

        Raises
        ------
        ValueError
            Without two classes or two labelled rows of the target, or if all of these are of one group.
        """
        return self._fit_safely(X, y, sample_domain, groups)

    def predict_proba(self, X):
        """Mean of the probabilities of the chosen candidates by their votes, of shape (n_samples, n_classes)."""
        return self._answer(X)

    def predict(self, X):
        """Most probable class, of shape (n_samples,)."""
        found = self.predict_proba(X).argmax(axis=1)
        return self.classes_[found]

    def _checked_labels(self, y: np.ndarray) -> np.ndarray:
        y = check_labels(type(self).__name__, y, len(y))
        check_classification_targets(y)
        return y

    def _coded(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        classes, codes = np.unique(y, return_inverse=True)
        if len(classes) < 2:
            raise ValueError(
                f"{type(self).__name__} needs rows of at least two classes. y holds 1 class: {classes.tolist()}."
            )
        return codes, classes

    def _weights_and_chance(self, data: Labelled) -> tuple[np.ndarray, float]:
        """Weights by which each class counts the same, and the loss of equal probabilities."""
        codes: Any = data.codes[data.labelled]
        return 1 / np.bincount(codes)[codes], 1 - 1 / len(data.classes)  # type: ignore[arg-type]
