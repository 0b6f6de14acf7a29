r"""SHOT: blocks learn from unlabelled rows of the target, so that the head of the source is certain of them.

::

    rows -> [blocks: learn] -> features -> [head of the source: fixed] -> probabilities
                                  |                                           |
      nearest centroid of a class +--> pseudo-labels, once an epoch           +--> certain of each row,
                                            |                                 |    all classes among all rows
                                            +--> cross-entropy * pseudo ------+--> sum --> one step
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator

from sktransfer.adaptation.label_shift import em_shares
from sktransfer.utils.parameters import is_number

if TYPE_CHECKING:  # a fitted model holds its method, and predicts without torch
    import torch


class SHOT(BaseEstimator):
    r"""Source hypothesis transfer: information maximisation and pseudo-labels, with the source head as it is.

    The method of a :class:`sktransfer.SourceFreeClassifier`. With the probabilities :math:`p` that the fixed head gives
    to the rows of a batch and their mean :math:`\bar p`, the blocks minimise

    .. math:: -\frac{1}{n} \sum_i \sum_k p_{ik} \log p_{ik} + \sum_k \bar p_k \log \frac{\bar p_k}{\pi_k}
              - \beta \frac{1}{n} \sum_i \log p_{i \hat y_i}

    where :math:`\pi` are the shares of the classes in the target (`prior`) and :math:`\hat y` pseudo-labels. These are
    made before each epoch: centroids of the features weighted by the probabilities, the nearest centroid of each row by
    the cosine, and both once more with these labels in place of the probabilities.

    Parameters
    ----------
    pseudo : float, default=0.3
        :math:`\beta`, factor of the pseudo-labels' loss, at least 0; 0 is information maximisation alone.
    prior : "equal", "estimate" or array-like of shape (n_classes,), default="equal"
        Shares of the classes in the target, in the order of ``classes_`` of the classifier. ``"equal"``: all classes
        are equally common, as published; a warning says so where the source network finds other shares. ``"estimate"``:
        those that the source network finds by expectation maximisation.
    n_frozen_blocks : int or "all", default=0
        Blocks, counted from the input, that stay as they are; see :class:`sktransfer.FineTuning`.

    Raises
    ------
    ValueError
        At ``fit``, if a parameter is none of these, or `prior` has another number of shares than there are classes.

    Notes
    -----
    NOTE[DIFF]: the source is not trained with smoothed labels and a weight-normalised head, but is whatever network was
    saved; features are what its head standardises. AdamW with a cosine takes the place of SGD with momentum. As
    published, BatchNorm of the blocks that learn normalises by the batch, and its statistics follow the target. The
    shares :math:`\pi` are the authors' equal ones by default, but may be others: the second term draws the predicted
    shares towards them, and a target of healthy rows alone is torn into as many classes as the head has. Rows with a
    label add their mean cross-entropy, and keep their label among the pseudo-labels.

    References
    ----------
    Liang, Hu and Feng (2020). Do we really need to access the source data? Source hypothesis transfer for unsupervised
    domain adaptation. Proceedings of ICML, 6028-6039. arXiv:2002.08546.
    Saerens, Latinne and Decaestecker (2002). Adjusting the outputs of a classifier to new a priori probabilities: a
    simple procedure. Neural Computation 14(1), 21-41. doi:10.1162/089976602753284446.

    Examples
    --------
    >>> import torch
    >>> from sktransfer import SHOT
    >>> certain = torch.tensor([[30.0, 0.0], [0.0, 30.0]])
    >>> round(float(SHOT(pseudo=0).loss(certain, torch.tensor([0, 1]), [0.5, 0.5])), 6)
    0.0
    """

    def __init__(self, pseudo=0.3, prior="equal", n_frozen_blocks=0):
        self.pseudo = pseudo
        self.prior = prior
        self.n_frozen_blocks = n_frozen_blocks

    def loss(self, outputs: torch.Tensor, labels: torch.Tensor, prior: Any) -> torch.Tensor:
        """The loss of one batch.

        Parameters
        ----------
        outputs : tensor of shape (n_samples, n_classes)
            Logits.
        labels : tensor of shape (n_samples,)
            Codes of the pseudo-labels.
        prior : array-like of shape (n_classes,)
            Shares of the classes, summing to 1.

        Returns
        -------
        tensor, a scalar
        """
        import torch
        from torch.nn import functional

        logs = torch.log_softmax(outputs, dim=1)
        entropy = -(logs.exp() * logs).sum(dim=1).mean()
        mean = logs.exp().mean(dim=0)
        shares = torch.as_tensor(prior, dtype=mean.dtype, device=mean.device)
        # a class without a share must not be predicted at all, but the loss stays finite
        spread = (mean * (mean.clamp(min=1e-12).log() - shares.clamp(min=1e-6).log())).sum()
        loss: torch.Tensor = entropy + spread
        return loss + self.pseudo * functional.nll_loss(logs, labels) if self.pseudo else loss

    def shares(self, estimated: np.ndarray) -> np.ndarray:
        """The shares of the classes that :meth:`loss` takes, given the `estimated` ones; shape (n_classes,)."""
        if not isinstance(self.prior, str):
            shares = np.asarray(self.prior, dtype=np.float64)
            return shares / shares.sum()
        return estimated if self.prior == "estimate" else np.full(len(estimated), 1 / len(estimated))

    def check(self, n_classes: int) -> None:
        """Raise a ValueError if a parameter cannot be used for `n_classes` classes."""
        if not (is_number(self.pseudo) and self.pseudo >= 0):
            raise ValueError(f"SHOT got pseudo={self.pseudo!r}; it must be a number of at least 0.")
        if isinstance(self.prior, str):
            if self.prior not in ("equal", "estimate"):
                raise ValueError(
                    f"SHOT got prior={self.prior!r}; it must be 'equal', 'estimate' or the share of each class."
                )
            return
        try:
            shares = np.asarray(self.prior, dtype=np.float64)
        except (TypeError, ValueError):
            shares = np.empty(0)
        usable = shares.shape == (n_classes,) and bool(np.isfinite(shares).all() and (shares >= 0).all())
        if not usable or shares.sum() <= 0:
            raise ValueError(
                f"SHOT got prior={self.prior!r}; it must be 'equal', 'estimate' or {n_classes} shares, one of each "
                "class in the order of classes_, none below 0."
            )


def pseudo_labels(features: np.ndarray, probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Class of the nearest centroid by the cosine, of features with a one appended; shape (n_samples,).

    Parameters
    ----------
    features : ndarray of shape (n_samples, n_features)
    probabilities : ndarray of shape (n_samples, n_classes)
    labels : ndarray of shape (n_samples,)
        Codes; -1 for a row without a label. Others are kept, and take part in the centroids.
    """
    known = labels >= 0
    rows = np.concatenate([features, np.ones((len(features), 1), dtype=features.dtype)], axis=1)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    members = probabilities.copy()
    members[known] = np.eye(probabilities.shape[1])[labels[known]]
    # a class that is never the most probable has no centroid worth the name
    found = np.unique(members.argmax(axis=1))
    for _ in range(2):
        centroids = members[:, found].T @ rows
        centroids /= np.maximum(np.linalg.norm(centroids, axis=1, keepdims=True), 1e-12)
        nearest = found[(rows @ centroids.T).argmax(axis=1)]
        nearest[known] = labels[known]
        members = np.eye(probabilities.shape[1])[nearest]
        found = np.unique(nearest)
    return nearest


def estimated_shares(probabilities: np.ndarray) -> np.ndarray:
    """Shares of the classes in the target, for a source of equal shares, a tenth of which is kept; (n_classes,)."""
    n_classes = probabilities.shape[1]
    return em_shares(probabilities, np.full(n_classes, 1 / n_classes), smoothing=0.1)
