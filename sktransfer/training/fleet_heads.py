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
from sktransfer.solvers.stacked_laplace import SoftmaxProblem, solve_softmax_stack
from sktransfer.strategies.base import HeadSolver
from sktransfer.training.head_start import HeadStart
from sktransfer.training.rows import TrainingRows
from sktransfer.training.source_match import SourceMatch, match_sources, source_names
from sktransfer.training.start import UNUSED, resolve_head
from sktransfer.training.tasks import Classification
from sktransfer.utils.device import resolve_device


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

    def solve(self, fits: Sequence[tuple[np.ndarray, np.ndarray, TrainingRows]]) -> list[MachineHead]:
        """The head of each machine.

        Parameters
        ----------
        fits : sequence of (classes, features, rows)
            Of each machine its classes, at least two, its features (n_samples, d), float64, and labelled rows with
            codes of its own classes.
        """
        init, normalize = resolve_head(self.head, self.backbone, self.untrained, True)
        begun = [self._standardized(init, normalize, *fit) for fit in fits]
        starts = self._matched(init, normalize, fits, begun)
        alpha = self.solver.alpha
        problems = []
        for (classes, _, rows), (features, *_), start in zip(fits, begun, starts, strict=True):
            W, b = Classification(classes, None).centre(start, features, rows, alpha)
            used = start.used
            problems.append(SoftmaxProblem(features[:, used], rows.y, rows.weight, W[:, used], b))
        heads = []
        for solution, (_, mean, scale, source), start in zip(self._solved(problems), begun, starts, strict=True):
            weight = np.zeros((len(solution.bias), len(mean)))
            weight[:, start.used] = solution.weight
            heads.append(MachineHead(weight, solution.bias, mean, scale, start.match, solution.temperature, source))
        return heads

    def _solved(self, problems: list[SoftmaxProblem]) -> list[Solution]:
        if self.solver.solver == "ridge":
            return [
                solve_ridge_classes(one.features, one.codes, one.weight, one.W0, one.b0, self.solver.alpha)
                for one in problems
            ]
        return solve_softmax_stack(problems, self.solver.alpha, self.solver.calibrated)

    def _standardized(
        self, init: str, normalize: str, classes: np.ndarray, features: np.ndarray, rows: TrainingRows
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, Source | None]:
        """Standardised features, their mean and scale as the head holds them, and the source head on them."""
        source, width = self.backbone.source, features.shape[1]
        mean, scale = np.zeros(width), np.ones(width)
        if normalize == "source" and source is not None:
            mean, scale = source.feature_mean, source.feature_scale
        elif normalize == "target":
            mean, scale = feature_statistics(features, rows.weight)
        used = Classification(classes, None).used_features(init, source, width)
        held = [np.asarray(values, self.dtype).astype(np.float64) for values in (mean, scale)]
        rescaled = None if source is None else source.rescaled(*held)
        return (features - mean) / np.where(used, scale, UNUSED), *held, rescaled

    def _matched(
        self,
        init: str,
        normalize: str,
        fits: Sequence[tuple[np.ndarray, np.ndarray, TrainingRows]],
        begun: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray, Source | None]],
    ) -> list[HeadStart]:
        """Where each head begins."""
        obeyed, source = self.solver.alpha == np.inf, self.backbone.source
        stated = getattr(self.head, "source_classes", "auto")
        auto = isinstance(stated, str) and stated == "auto"
        tasks = [Classification(classes, None) for classes, _, _ in fits]
        together = auto and init == "auto" and not obeyed and normalize == "source" and bool(source_names(source))
        if together and fits and begun[0][3] is not None:
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
