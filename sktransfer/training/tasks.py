"""How labels become outputs and back: the only place where classification and regression differ in training."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch
from sklearn.utils.class_weight import compute_class_weight

from sktransfer.backbones.source import Source
from sktransfer.networks.heads import imprinted_rows
from sktransfer.solvers.logistic import Solution, solve_softmax
from sktransfer.solvers.ridge import solve_ridge, solve_ridge_classes
from sktransfer.strategies.base import HeadSolver
from sktransfer.training.head_start import HeadStart
from sktransfer.training.rows import TrainingRows
from sktransfer.training.source_match import SourceMatch, centre_rows, match_source, plain
from sktransfer.utils.parameters import is_number

WEAK_ALPHA = 0.1
NUMBERS_DO_NOT_MATCH = (
    " Numbers never match by their value alone, because encoders number what they meet: say "
    "LinearHead(init='source', source_classes='same') if these mean the same as the source's."
)


class Classification:
    """Outputs are logits, one a class; the loss is cross-entropy.

    Parameters
    ----------
    classes : ndarray of shape (n_classes,)
    class_weight : dict, "balanced" or None
    """

    def __init__(self, classes: np.ndarray, class_weight: Any):
        self.classes, self.class_weight = classes, class_weight
        self.n_outputs = len(classes)
        self.n_classes: int | None = len(classes)
        self.chance_loss = float(np.log(len(classes)))  # of equal probabilities

    def weigh(self, rows: TrainingRows) -> TrainingRows:
        """Row weights times class weights; "balanced" counts weighted rows."""
        if self.class_weight is None:
            return rows
        if isinstance(self.class_weight, str):
            counts = np.bincount(rows.y, weights=rows.weight, minlength=self.n_outputs)
            factors = counts.sum() / (self.n_outputs * counts)
        else:
            wrong = {str(c): f for c, f in self.class_weight.items() if not (is_number(f) and 0 <= f < np.inf)}
            if wrong:
                raise ValueError(f"class_weight holds {wrong}; factors are numbers of at least 0.")
            factors = compute_class_weight(self.class_weight, classes=self.classes, y=self.classes[rows.y])
            if not factors.any():
                raise ValueError("class_weight is zero for every class in y; no row is left to learn from.")
        return rows._replace(weight=rows.weight * factors[rows.y])

    @staticmethod
    def loss(outputs: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
        """Cross-entropy of each row, shape (n_samples,)."""
        return torch.nn.functional.cross_entropy(outputs, codes, reduction="none")

    def prior(self, rows: TrainingRows) -> np.ndarray:
        """Logarithm of the weighted frequency of each class: the bias of a head of zero rows, shape (n_classes,)."""
        frequency = np.bincount(rows.y, weights=rows.weight, minlength=self.n_outputs) / rows.weight.sum()
        return np.log(np.maximum(frequency, 1e-9))

    def begin(self, start: HeadStart, features: np.ndarray, rows: TrainingRows) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the head that the source or the class means give, on standardised features.

        Rows of classes that the source knew are its rows. A new class is imprinted: its row points along its class
        mean, as long as the source's rows on average, with their average bias.
        """
        W, b, known = start.weight.copy(), start.bias.copy(), start.known
        if start.init == "source" and not known.all():
            new = [plain(name) for name in self.classes[~known]]
            numbers = "" if all(isinstance(name, str) for name in new) else NUMBERS_DO_NOT_MATCH
            raise ValueError(
                f"LinearHead(init='source'): the source does not know the classes {new}; use init='auto' to imprint "
                f"them.{numbers}"
            )
        if not known.all():
            length = np.linalg.norm(W[known], axis=1).mean() if known.any() else 1.0
            imprinted = imprinted_rows(features, rows.y, rows.weight, self.n_outputs)
            W[~known] = length * imprinted[~known]
            b[~known] = b[known].mean() if known.any() else 0.0
        return W, b

    def solve(self, start: HeadStart, features: np.ndarray, rows: TrainingRows, head_solver: HeadSolver) -> Solution:
        """The head that minimises weighted cross-entropy, or squared distance from class codes, plus a penalty."""
        used, alpha = start.used, WEAK_ALPHA if head_solver.alpha == "weak" else head_solver.alpha
        W, b = self.centre(start, features, rows, alpha)
        some = (features, W) if used.all() else (features[:, used], W[:, used])
        if head_solver.solver == "ridge":
            solution = solve_ridge_classes(some[0], rows.y, rows.weight, some[1], b, alpha)
        else:
            solution = solve_softmax(some[0], rows.y, rows.weight, some[1], b, alpha, head_solver.calibrated)
        W[:, ~used], W[:, used] = 0.0, solution.weight
        return dataclasses.replace(solution, weight=W)

    def centre(
        self, start: HeadStart, features: np.ndarray, rows: TrainingRows, alpha: float | str
    ) -> tuple[np.ndarray, np.ndarray]:
        """What the penalty measures the distance of a solved head from: of a known class the source's row.

        The centre of a new class is the mean of the known rows, which says nothing of the class: what is said comes
        from the labels. An imprinted row as the centre scored lower; it is the centre where ``init="imprint"`` asks for
        it, and where an infinite penalty leaves nothing else to be said.
        """
        if start.init == "imprint" or (alpha == np.inf and start.init != "random"):
            return self.begin(start, features, rows)
        return centre_rows(start.weight, start.bias, start.known)

    def used_features(self, init: str, source: Source | None, width: int) -> np.ndarray:
        """Features that the head may use, (width,) of bool: with ``init="source"`` those the source head gives weight.

        The source found that the others say nothing of its classes across machines. On one machine they do help.
        """
        if init != "source" or source is None or source.weight is None or not source.weight.any():
            return np.ones(width, dtype=bool)
        return np.any(source.weight != 0, axis=0)

    def match(
        self, head: Any, init: str, obeyed: bool, source: Source | None, features: np.ndarray, rows: TrainingRows
    ) -> SourceMatch:
        """Which row of the source head, acting on these features, each class begins from."""
        if init not in ("auto", "source"):
            return SourceMatch(np.full(self.n_outputs, -1))
        return match_source(
            getattr(head, "source_classes", "auto"), obeyed or init == "source", source, self.classes, features, rows
        )

    def source_rows(
        self, init: str, source: Source | None, width: int, match: SourceMatch
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rows of the source head that `match` names, zero elsewhere, and which rows those are."""
        W, b, known = np.zeros((self.n_outputs, width)), np.zeros(self.n_outputs), match.known
        if source is not None and source.weight is not None and source.bias is not None:
            W[known], b[known] = source.weight[match.rows[known]], source.bias[match.rows[known]]
        return W, b, known

    def source_head(self, W: np.ndarray, b: np.ndarray) -> dict[str, Any]:
        """What the next fit needs to know of this head."""
        return {"weight": W, "bias": b, "classes": self.classes}


class Regression:
    """Outputs are standardised values; the loss is squared error.

    Parameters
    ----------
    center, scale : ndarray of shape (n_outputs,)
        Weighted mean and standard deviation of the labels.
    """

    def __init__(self, center: np.ndarray, scale: np.ndarray):
        self.center, self.scale = center, scale
        self.n_outputs = len(center)
        self.n_classes = None
        self.chance_loss = 1.0  # of the mean, in standardised units

    def weigh(self, rows: TrainingRows) -> TrainingRows:
        """Rows as they are."""
        return rows

    @staticmethod
    def loss(outputs: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        """Squared error of each row, mean over outputs, shape (n_samples,)."""
        return (outputs - values).square().mean(dim=1)

    def prior(self, rows: TrainingRows) -> np.ndarray:
        """The mean of the standardised labels: zero."""
        return np.zeros(self.n_outputs)

    def begin(self, start: HeadStart, features: np.ndarray, rows: TrainingRows) -> tuple[np.ndarray, np.ndarray]:
        """The source's rows in this fit's units if it has as many outputs, else zero: the mean of the labels."""
        if start.init == "source" and not start.known.all():
            raise ValueError(
                f"LinearHead(init='source'): the backbone has no regression head with {self.n_outputs} outputs; "
                "use init='auto'."
            )
        return start.weight, start.bias

    def solve(self, start: HeadStart, features: np.ndarray, rows: TrainingRows, head_solver: HeadSolver) -> Solution:
        """The head that minimises weighted squared error plus a penalty on the distance from the source's rows."""
        W, b = self.begin(start, features, rows)
        alpha = "auto" if head_solver.alpha == "weak" else head_solver.alpha
        return solve_ridge(features, rows.y, rows.weight, W, b, alpha)

    def used_features(self, init: str, source: Source | None, width: int) -> np.ndarray:
        """All features."""
        return np.ones(width, dtype=bool)

    def match(
        self, head: Any, init: str, obeyed: bool, source: Source | None, features: np.ndarray, rows: TrainingRows
    ) -> SourceMatch:
        """None: values have no names by which one could tell that the source knew them."""
        return SourceMatch(np.full(self.n_outputs, -1))

    def source_rows(
        self, init: str, source: Source | None, width: int, match: SourceMatch
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The source's rows in this fit's units, zero where it has none, and which rows those are."""
        W, b, known = np.zeros((self.n_outputs, width)), np.zeros(self.n_outputs), np.zeros(self.n_outputs, dtype=bool)
        weight = None if source is None or source.classes is not None else source.weight
        if init in ("auto", "source") and source is not None and weight is not None and len(weight) == self.n_outputs:
            W, b = weight / self.scale[:, None], (np.asarray(source.bias) - self.center) / self.scale
            known[:] = True
        return W, b, known

    def source_head(self, W: np.ndarray, b: np.ndarray) -> dict[str, Any]:
        """The head in the units of the labels."""
        return {"weight": W * self.scale[:, None], "bias": b * self.scale + self.center, "classes": None}
