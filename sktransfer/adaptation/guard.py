r"""An alignment that is taken back where it seems to do harm.

::

    network without alignment --> shares of its classes on the target ---> far from the source's --> refused
                              \-> rows it is surest of --------+
    network with alignment -----> classes of those rows -------+--------> often another class --> refused
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sktransfer.adaptation.agreement import agreement_of_surest
from sktransfer.adaptation.alignment import Alignment
from sktransfer.adaptation.label_shift import LARGEST_SHIFT, share_distance
from sktransfer.adaptation.mcc import MCC
from sktransfer.utils.parameters import invalid_parameter, is_number

if TYPE_CHECKING:
    import torch
    from torch import nn


class Guarded(Alignment):
    """An alignment that a fit uses only where two signs without labels speak for it.

    The network is fitted without the alignment first. If the classes that it predicts for the target's unlabelled rows
    are not about as common as those of the source, the alignment is not tried. Else a second network is fitted with it,
    and refused if it contradicts the first one where that is sure. A refusal is a warning, the first network answers,
    and ``report_`` of the estimator says why. A fit takes up to twice as long.

    Parameters
    ----------
    alignment : Alignment or None, default=None
        What is guarded; None: ``MCC()``.
    max_shift : float, default=0.25
        Largest total variation between the shares of the classes of the source and those that are predicted for the
        target, 0 to 1.
    min_agreement : float, default=0.95
        Smallest share of equal classes among the half of the unlabelled rows that the first network is surest of,
        0 to 1.

    Notes
    -----
    Both signs may be wrong: a network that is poor on the target predicts shares that are far off, and one that is sure
    and wrong is agreed with. On four sets, equal and skewed shares, four alignments (192 fits), 41 % of all fits were
    worse by more than a point, and 19 % of the 73 accepted ones (`benchmarks/guard.md`); on development tasks (112
    fits) 33 % and 34 %. The guard tells of a shift of the shares; it does not make an alignment safe. Labels decide
    better: :class:`sktransfer.SafeTransferClassifier`.

    Examples
    --------
    >>> from sktransfer import MMD, DomainAdaptationClassifier, Guarded
    >>> model = DomainAdaptationClassifier(alignment=Guarded(MMD()))
    """

    def __init__(self, alignment=None, *, max_shift=LARGEST_SHIFT, min_agreement=0.95):
        self.alignment = alignment
        self.max_shift = max_shift
        self.min_agreement = min_agreement

    @property
    def guarded(self) -> Alignment:
        """The alignment, with None resolved."""
        return MCC() if self.alignment is None else self.alignment

    @property
    def weight(self) -> float:  # type: ignore[override]
        """Factor of the guarded alignment's loss."""
        return self.guarded.weight

    @property
    def prior(self) -> Any:
        """Shares of the target's classes that the guarded alignment was told."""
        return self.guarded.prior

    def network(self, n_features: int, n_outputs: int) -> nn.Module | None:
        """The network of the guarded alignment."""
        return self.guarded.network(n_features, n_outputs)

    def loss(
        self,
        source: torch.Tensor,
        target: torch.Tensor,
        outputs: torch.Tensor,
        *,
        network: nn.Module | None = None,
        progress: float = 1.0,
    ) -> torch.Tensor:
        """The loss of the guarded alignment."""
        return self.guarded.loss(source, target, outputs, network=network, progress=progress)

    def refuse(self, name: str, n_classes: int | None) -> None:
        """Raise for a regressor, whose outputs have no shares, and for parameters out of range."""
        if not isinstance(self.guarded, Alignment) or isinstance(self.guarded, Guarded):
            raise invalid_parameter("Guarded", "alignment", "be an alignment such as MMD(), or None", self.alignment)
        for key in ("max_shift", "min_agreement"):
            value = getattr(self, key)
            if not (is_number(value) and 0 <= value <= 1):
                raise invalid_parameter("Guarded", key, "be a number from 0 to 1", value)
        if n_classes is None:
            raise ValueError(
                f"{name} got alignment={self!r}, whose guard looks at shares of classes, and a regressor has none. "
                "Pass the alignment without a guard."
            )
        self.guarded.refuse(name, n_classes)

    def shift(self, source_shares: np.ndarray, before: np.ndarray) -> dict[str, Any]:
        """What the first network's outputs say of the shares, as the first part of a report.

        Parameters
        ----------
        source_shares : ndarray of shape (n_classes,)
        before : ndarray of shape (n_unlabelled, n_classes)
            Logits of the network without alignment.
        """
        shares = predicted_shares(before)
        distance = share_distance(source_shares, shares)
        report = {"source_shares": source_shares, "shares_before": shares, "total_variation": distance}
        refused = None
        if distance > self.max_shift:
            refused = (
                f"the classes that are predicted for the target's unlabelled rows are not as common as in the source "
                f"(total variation {distance:.2f}, above {self.max_shift:g})"
            )
        return report | {"adapted": refused is None, "reason": refused}

    def agreement(self, before: np.ndarray, after: np.ndarray) -> dict[str, Any]:
        """What both networks' outputs say of each other, as the second part of a report."""
        share = agreement_of_surest(before, after)
        refused = None
        if share < self.min_agreement:
            refused = (
                f"of the half of the unlabelled rows that the network without alignment is surest of, the aligned one "
                f"changed {1 - share:.0%} to another class, more than {1 - self.min_agreement:.0%}"
            )
        return {
            "shares_after": predicted_shares(after),
            "agreement": share,
            "adapted": refused is None,
            "reason": refused,
        }


def predicted_shares(outputs: np.ndarray) -> np.ndarray:
    """Share of each class among the most probable ones, shape (n_classes,)."""
    return np.bincount(outputs.argmax(axis=1), minlength=outputs.shape[1]) / len(outputs)
