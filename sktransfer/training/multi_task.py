"""Several tasks on one network: their outputs side by side in one head, their losses added.

::

    features --> head --> [logits of fault | logits of severity | remaining life] --> loss of each task on its rows
                                                                                         |
                                      sum, each divided by what knowing nothing costs <--+

Labels of a row are one row of numbers: of a classification the code of the class, -1 where there is none; of a
regression the standardised value and whether it is there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch

from sktransfer.backbones.source import Source
from sktransfer.solvers.logistic import Solution
from sktransfer.strategies.base import HeadSolver
from sktransfer.training.head_start import HeadStart
from sktransfer.training.rows import TrainingRows
from sktransfer.training.source_match import SourceMatch
from sktransfer.training.tasks import Classification, Regression


class Part(NamedTuple):
    """One task of several.

    Parameters
    ----------
    task : Classification or Regression
    outputs : slice
        Its outputs among those of the head.
    labels : slice
        Its numbers in a row of labels; the last says of a regression which values are there.
    factor : float
        Of its loss in the sum.
    """

    task: Classification | Regression
    outputs: slice
    labels: slice
    factor: float


class MultiTask:
    """What :mod:`sktransfer.training.tasks` answers, for several tasks at once.

    Parameters
    ----------
    tasks : sequence of Classification or Regression
    labels : sequence of ndarray
        Of each task what :func:`encoded` returns, of shape (n_samples, 1) or (n_samples, n_outputs + 1).
    weight : ndarray of shape (n_samples,)
        Of the rows.
    """

    n_classes = None  # nothing that mixes classes
    chance_loss = 1.0

    def __init__(self, tasks: list[Classification | Regression], labels: list[np.ndarray], weight: np.ndarray):
        self.parts: list[Part] = []
        at_output = at_label = 0
        for task, own in zip(tasks, labels, strict=True):
            there = weight[_there(task, own)].sum()
            factor = weight.sum() / (there * task.chance_loss * len(tasks))
            outputs = slice(at_output, at_output + task.n_outputs)
            self.parts.append(Part(task, outputs, slice(at_label, at_label + own.shape[1]), float(factor)))
            at_output, at_label = outputs.stop, at_label + own.shape[1]
        self.n_outputs = at_output

    def weigh(self, rows: TrainingRows) -> TrainingRows:
        """Rows as they are."""
        return rows

    def loss(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Sum of the tasks' losses of each row, shape (n_samples,).

        A task's mean loss over the rows that have its label counts as much as another's, divided by what equal
        probabilities or the mean would cost: a task with few labels is not drowned.
        """
        total = outputs.new_zeros(len(outputs))
        for part in self.parts:
            own, found = labels[:, part.labels], outputs[:, part.outputs]
            if isinstance(part.task, Classification):
                there = own[:, 0] >= 0
                loss = part.task.loss(found, own[:, 0].clamp(min=0).long())
            else:
                there, loss = own[:, -1] > 0, part.task.loss(found, own[:, :-1])
            total = total + part.factor * torch.where(there, loss, torch.zeros_like(loss))
        return total

    def prior(self, rows: TrainingRows) -> np.ndarray:
        """Bias of a head of zero rows, shape (n_outputs,)."""
        return np.concatenate([part.task.prior(own) for part, own, _ in self._each(rows)])

    def begin(self, start: HeadStart, features: np.ndarray, rows: TrainingRows) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the head with which each task begins."""
        begun = [part.task.begin(_start_of(start, part), features[there], own) for part, own, there in self._each(rows)]
        return np.concatenate([W for W, _ in begun]), np.concatenate([b for _, b in begun])

    def solve(self, start: HeadStart, features: np.ndarray, rows: TrainingRows, head_solver: HeadSolver) -> Solution:
        """The head of each task, solved on the rows that have its label.

        Logits are not divided by a temperature: the tasks would need one each.
        """
        plain = head_solver._replace(calibrated=False)
        found = [
            part.task.solve(_start_of(start, part), features[there], own, plain)
            for part, own, there in self._each(rows)
        ]
        return Solution(
            np.concatenate([solution.weight for solution in found]),
            np.concatenate([solution.bias for solution in found]),
            float(np.mean([solution.alpha for solution in found])),
            max(solution.n_iter for solution in found),
        )

    def used_features(self, init: str, source: Source | None, width: int) -> np.ndarray:
        """All features: one task's source head knows nothing of what the others need."""
        return np.ones(width, dtype=bool)

    def match(
        self, head: Any, init: str, obeyed: bool, source: Source | None, features: np.ndarray, rows: TrainingRows
    ) -> SourceMatch:
        """Which row of the source head each class of each classification begins from."""
        found = [
            part.task.match(head, init, obeyed, source, features[there] if features is not None else None, own).rows
            for part, own, there in self._each(rows)
        ]
        return SourceMatch(np.concatenate(found))

    def source_rows(
        self, init: str, source: Source | None, width: int, match: SourceMatch
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rows of the source head for each task, and which rows those are."""
        found = [
            part.task.source_rows(init, source, width, SourceMatch(match.rows[part.outputs])) for part in self.parts
        ]
        W, b, known = zip(*found, strict=True)
        return np.concatenate(W), np.concatenate(b), np.concatenate(known)

    def source_head(self, W: np.ndarray, b: np.ndarray) -> dict[str, Any]:
        """Nothing: a source head is one task's. The estimator hands on the head of the task that is asked for."""
        return {}

    def _each(self, rows: TrainingRows) -> Iterator[tuple[Part, TrainingRows, np.ndarray]]:
        """Each task, its rows with its labels alone, and which rows those are."""
        for part in self.parts:
            own = rows.y[:, part.labels]
            there = _there(part.task, own)
            is_class = isinstance(part.task, Classification)
            y = own[there, 0].astype(np.int64) if is_class else own[there, :-1]
            yield part, TrainingRows(rows.X[:0], y, rows.weight[there]), there  # no task looks at the inputs


def _there(task: Classification | Regression, labels: np.ndarray) -> np.ndarray:
    """Rows that have a label of this task."""
    return labels[:, 0] >= 0 if isinstance(task, Classification) else labels[:, -1] > 0


def _start_of(start: HeadStart, part: Part) -> HeadStart:
    """Where the outputs of one task begin."""
    return dataclasses.replace(
        start, weight=start.weight[part.outputs], bias=start.bias[part.outputs], known=start.known[part.outputs]
    )
