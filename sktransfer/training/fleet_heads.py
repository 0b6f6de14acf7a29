"""Heads of many machines on the features of one frozen backbone, solved in one pass.

::

    features of all rows --machine by machine--> standardised, matched with the source head, centre of the penalty
                                                    |
    machines of equally many classes --stacked--> solved heads: those that each machine's rows give alone
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from sktransfer.backbones.backbone import Backbone
from sktransfer.backbones.source import Source, feature_statistics
from sktransfer.networks.transfer_module import TransferModule, as_tensor
from sktransfer.solvers.logistic import Solution
from sktransfer.solvers.ridge import solve_ridge_classes
from sktransfer.solvers.stacked_laplace import SoftmaxProblem, common_alpha, solve_softmax_stack
from sktransfer.strategies.base import HeadSolver
from sktransfer.training.head_start import HeadStart
from sktransfer.training.rows import TrainingRows
from sktransfer.training.source_match import SourceMatch, match_sources, plain, source_names
from sktransfer.training.start import UNUSED, resolve_head
from sktransfer.training.tasks import Classification
from sktransfer.utils.device import resolve_device

_CHOOSE = 32  # machines that choose what all share; more take longer, and say the same

Fit = tuple[np.ndarray, np.ndarray, TrainingRows]  # classes, features, rows
Begun = tuple[np.ndarray, np.ndarray, np.ndarray, Source | None]  # standardised, mean, scale, the source head on them


@dataclass
class MachineHead:
    """The head of one machine.

    Parameters
    ----------
    weight, bias : ndarray of shape (n_classes, d) and (n_classes,)
        On features standardised by `mean` and `scale`.
    mean, scale : ndarray of shape (d,)
    match : SourceMatch
        Which row of the source head each class began from.
    temperature : float
        By which rows of the source head are divided beside it.
    source : Source or None
        The source head on features standardised as these are.
    """

    weight: np.ndarray
    bias: np.ndarray
    mean: np.ndarray
    scale: np.ndarray
    match: SourceMatch
    temperature: float
    source: Source | None


@dataclass(frozen=True)
class Shared:
    """What is chosen once for all machines.

    Parameters
    ----------
    alpha : float or None
        Strength of the penalty; None: as the strategy says.
    classes : ndarray of shape (n_classes,)
    match : SourceMatch or None
        Of these classes; None: there is no source head to match.
    """

    alpha: float | None
    classes: np.ndarray
    match: SourceMatch | None

    def match_of(self, classes: np.ndarray) -> SourceMatch:
        """The matching of some classes; one that was not there is new."""
        rows = (
            {plain(name): row for name, row in zip(self.classes, self.match.rows.tolist(), strict=True)}
            if self.match
            else {}
        )
        found = np.array([rows.get(plain(name), -1) for name in classes])
        return SourceMatch(found, self.match.by if self.match else "nothing")


def _agreed(matches: Sequence[SourceMatch], fits: Sequence[Fit], classes: np.ndarray) -> SourceMatch:
    """Of each class the source row that at least half of the machines with this class begin at; else none."""
    votes: list[list[int]] = [[] for _ in classes]
    for match, (own, _, _) in zip(matches, fits, strict=True):
        for place, row in zip(np.searchsorted(classes, own), match.rows.tolist(), strict=True):
            votes[place].append(row)
    rows = np.full(len(classes), -1)
    for place, found in enumerate(votes):
        values, counts = np.unique([row for row in found if row >= 0], return_counts=True)
        if len(values) and 2 * counts.max() >= len(found):
            rows[place] = values[counts.argmax()]
    by = sorted({match.by for match in matches}, key=lambda word: -sum(match.by == word for match in matches))
    return SourceMatch(rows, by[0] if rows.max() >= 0 else "nothing")


@dataclass(frozen=True)
class HeadPlan:
    """How every head of a fleet is found.

    Parameters
    ----------
    backbone : Backbone
    untrained : bool
    head : LinearHead
    solver : HeadSolver
    dtype : type
        In which standardisation is held.
    """

    backbone: Backbone
    untrained: bool
    head: Any
    solver: HeadSolver
    dtype: Any

    def choose(self, fits: Sequence[Fit], classes: np.ndarray) -> Shared:
        """What all machines share: by up to 32 of them, evenly spaced.

        Parameters
        ----------
        fits : sequence of (classes, features, rows)
            As in :meth:`solve`; at least one.
        classes : ndarray of shape (n_classes,)
            Of all machines.
        """
        some = [fits[k] for k in np.unique(np.linspace(0, len(fits) - 1, _CHOOSE).astype(int))]
        init, normalize = resolve_head(self.head, self.backbone, self.untrained, True)
        begun = self._standardized(init, normalize, some)
        starts = self._matched(init, normalize, some, begun, None)
        match = None
        if self._asks_rows(init, normalize):
            match = _agreed([start.match for start in starts], some, classes)
            starts = self._matched(init, normalize, some, begun, Shared(None, classes, match))
        lbfgs = self.solver.solver == "lbfgs" and self.solver.alpha == "auto"
        alpha = common_alpha(self._problems(some, begun, starts, "auto")) if lbfgs else None
        return Shared(alpha, classes, match)

    def solve(self, fits: Sequence[Fit], shared: Shared | None = None) -> list[MachineHead]:
        """The head of each machine.

        Parameters
        ----------
        fits : sequence of (classes, features, rows)
            Of each machine its classes, at least two, its features (n_samples, d), float64, and labelled rows with
            codes of its own classes.
        shared : Shared or None
            What was chosen for all machines; None: the rows of each machine choose.
        """
        init, normalize = resolve_head(self.head, self.backbone, self.untrained, True)
        begun = self._standardized(init, normalize, fits)
        starts = self._matched(init, normalize, fits, begun, shared)
        alpha = self.solver.alpha if shared is None or shared.alpha is None else shared.alpha
        problems = self._problems(fits, begun, starts, alpha)
        heads = []
        for solution, (_, mean, scale, source), start in zip(self._solved(problems, alpha), begun, starts, strict=True):
            weight = np.zeros((len(solution.bias), len(mean)))
            weight[:, start.used] = solution.weight
            heads.append(MachineHead(weight, solution.bias, mean, scale, start.match, solution.temperature, source))
        return heads

    def _problems(
        self, fits: Sequence[Fit], begun: Sequence[Begun], starts: list[HeadStart], alpha: float | str
    ) -> list[SoftmaxProblem]:
        problems = []
        for (classes, _, rows), (features, *_), start in zip(fits, begun, starts, strict=True):
            W, b = Classification(classes, None).centre(start, features, rows, alpha)
            if not start.used.all():
                features, W = features[:, start.used], W[:, start.used]
            problems.append(SoftmaxProblem(features, rows.y, rows.weight, W, b))
        return problems

    def _solved(self, problems: list[SoftmaxProblem], alpha: float | str) -> list[Solution]:
        if self.solver.solver == "ridge":
            return [solve_ridge_classes(one.features, one.codes, one.weight, one.W0, one.b0, alpha) for one in problems]
        return solve_softmax_stack(problems, alpha, self.solver.calibrated)

    def _asks_rows(self, init: str, normalize: str) -> bool:
        """Whether labelled rows decide which class of the source head each class is, on features that all share."""
        stated = getattr(self.head, "source_classes", "auto")
        auto = isinstance(stated, str) and stated == "auto"
        obeyed = self.solver.alpha == np.inf
        return (
            auto
            and init == "auto"
            and not obeyed
            and normalize == "source"
            and bool(source_names(self.backbone.source))
        )

    def _standardized(self, init: str, normalize: str, fits: Sequence[Fit]) -> list[Begun]:
        """Standardised features, their mean and scale as the head holds them, and the source head on them."""
        source, width = self.backbone.source, self.backbone.n_features_out
        mean, scale, known = np.zeros(width), np.ones(width), None
        if normalize == "source" and source is not None:
            mean, scale = source.feature_mean, source.feature_scale
        begun: list[Begun] = []
        for classes, features, rows in fits:
            if normalize == "target":
                mean, scale = feature_statistics(features, rows.weight)
            if known is None or normalize == "target":
                used = Classification(classes, None).used_features(init, source, width)
                divisor = np.where(used, scale, UNUSED)
                held_mean, held_scale = (np.asarray(values, self.dtype).astype(np.float64) for values in (mean, scale))
                known = held_mean, held_scale, None if source is None else source.rescaled(held_mean, held_scale)
            begun.append(((features - mean) / divisor, *known))
        return begun

    def _matched(
        self,
        init: str,
        normalize: str,
        fits: Sequence[Fit],
        begun: Sequence[Begun],
        shared: Shared | None,
    ) -> list[HeadStart]:
        """Where each head begins."""
        obeyed, source = self.solver.alpha == np.inf, self.backbone.source
        tasks = [Classification(classes, None) for classes, _, _ in fits]
        if self._asks_rows(init, normalize) and shared is not None:
            matches = [shared.match_of(classes) for classes, _, _ in fits]
        elif self._asks_rows(init, normalize) and fits and begun[0][3] is not None:
            some = [(fit[0], one[0], fit[2]) for fit, one in zip(fits, begun, strict=True)]
            matches = match_sources(begun[0][3], some)
        else:
            matches = [
                task.match(self.head, init, obeyed, one[3], one[0], fit[2])
                for task, fit, one in zip(tasks, fits, begun, strict=True)
            ]
        starts = []
        for task, (features, mean, scale, own), match in zip(tasks, begun, matches, strict=True):
            W, b, known = task.source_rows(init, own, features.shape[1], match)
            used = task.used_features(init, source, features.shape[1])
            starts.append(HeadStart(init, normalize, mean, scale, W, b, known, used, match))
        return starts


def frozen_features(backbone: Backbone, rows: np.ndarray, device: Any) -> np.ndarray:
    """Features of the rows as a fit alone computes them, float64, of shape (n_samples, d)."""
    where = resolve_device(device)
    if rows.dtype == np.float32:
        blocks = backbone.modules_on(where)
    else:
        blocks = [block.to(where, as_tensor(rows[:0]).dtype) for block in backbone.copy_blocks()]
    module = TransferModule(blocks, nn.Identity(), backbone.blocks).eval()
    return module.run_features(rows).astype(np.float64, copy=False)
