r"""Laplace's approximation of many small softmax heads at once: one pass over arrays whose last axis counts the heads.

::

    problems of few rows each --padded with rows of weight zero--> arrays (..., n_problems)
        Newton steps, log evidence and leave-one-out logits of all of them, alpha by alpha
        what has converged is set aside; the others go on

The steps are those of `laplace.py`, so that each problem gets the numbers that it gets alone, up to rounding.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from sktransfer.solvers.evidence import EVIDENCE_ALPHAS, LogEvidence
from sktransfer.solvers.laplace import CLOSE, MAX_STEPS
from sktransfer.solvers.logistic import ALPHAS, LARGEST, PATIENCE, solve_softmax
from sktransfer.solvers.row_space import Solution
from sktransfer.solvers.stacked_curvature import StackedApproximation, StackedPart, some_of, stacked_softmax
from sktransfer.solvers.temperature import choose_temperatures

_NUMBERS = 2**18  # of one array of matrices, so that it stays in the cache
_STACKED = 32  # rows up to which calls of LAPACK take longer than their work


@dataclass(frozen=True)
class SoftmaxProblem:
    """Rows, labels and centre of one head, as :func:`sktransfer.solvers.logistic.solve_softmax` takes them.

    Parameters
    ----------
    features : ndarray of shape (n_samples, d)
    codes : ndarray of shape (n_samples,)
    weight : ndarray of shape (n_samples,)
    W0, b0 : ndarray of shape (n_classes, d) and (n_classes,)
    """

    features: np.ndarray
    codes: np.ndarray
    weight: np.ndarray
    W0: np.ndarray
    b0: np.ndarray


def solve_softmax_stack(
    problems: Sequence[SoftmaxProblem], alpha: float | str, calibrated: bool = False
) -> list[Solution]:
    """The heads that :func:`sktransfer.solvers.logistic.solve_softmax` finds one by one.

    Parameters
    ----------
    problems : sequence of SoftmaxProblem
        Those of more than 32 rows, or that cannot be solved this way in float64, are solved alone.
    alpha : float or "auto"
    calibrated : bool, default=False

    Returns
    -------
    list of Solution
    """
    found: list[Solution | None] = [None] * len(problems)
    auto = alpha == "auto"
    alphas = ALPHAS if auto else np.array([max(float(alpha), 1e-6)])
    small = alpha != np.inf
    small_ones = [i for i, one in enumerate(problems) if small and _is_small(one)]
    for members in _alike(problems, small_ones):
        stack = _Stack([problems[i] for i in members])
        best, held_out = stack.choose(alphas, left_out=auto or calibrated)
        temperatures = stack.temperatures(held_out) if calibrated else np.ones(len(members))
        for k, i in enumerate(members):
            if np.isfinite(best.score[k]):
                used = float(best.alpha[k]) if auto else float(alpha)
                found[i] = stack.solution(k, best, used).at(float(temperatures[k]))
    return [
        solve_softmax(one.features, one.codes, one.weight, one.W0, one.b0, alpha, calibrated) if head is None else head
        for one, head in zip(problems, found, strict=True)
    ]


def common_alpha(problems: Sequence[SoftmaxProblem]) -> float | None:
    """The alpha under which the labels of all problems together have the best score; None if float64 cannot tell.

    The score of a problem is that of :func:`sktransfer.solvers.logistic.solve_softmax`: log evidence plus leave-one-out
    log-likelihood. Problems of more than 32 rows are left out.
    """
    total, n = np.zeros(len(ALPHAS)), 0
    for members in _alike(problems, [i for i, one in enumerate(problems) if _is_small(one)]):
        stack = _Stack([problems[i] for i in members])
        path, every = _Path(stack), np.arange(len(members))
        scores = np.array([path.advance(float(alpha), every, left_out=True).score for alpha in ALPHAS])
        sound = np.isfinite(scores).all(axis=0)
        total += scores[:, sound].sum(axis=1)
        n += int(sound.sum())
    return float(ALPHAS[int(total.argmax())]) if n else None


def log_evidences(problems: Sequence[SoftmaxProblem]) -> np.ndarray:
    """What :class:`sktransfer.solvers.evidence.LogEvidence` says of each head ``(W0, b0)``, shape (n_problems,)."""
    found = np.full(len(problems), -np.inf)
    for members in _alike(problems, [i for i, one in enumerate(problems) if _is_small(one)]):
        found[members] = _Stack([problems[i] for i in members]).log_evidence()
    for i in np.flatnonzero(np.isneginf(found)).tolist():
        one = problems[i]
        found[i] = LogEvidence(one.features, one.codes, one.weight, len(one.b0))(one.W0, one.b0)
    return found


def _is_small(problem: SoftmaxProblem) -> bool:
    return len(problem.codes) <= _STACKED and bool(np.abs(problem.features).max() <= LARGEST)


def _alike(problems: Sequence[SoftmaxProblem], numbers: Sequence[int]) -> Iterator[list[int]]:
    """Numbers of problems with equally many classes and about as many rows, as many as stay in the cache."""
    keys = [(len(problems[i].b0), len(problems[i].codes), i) for i in numbers]
    members: list[int] = []
    first = 0
    for n_classes, n_rows, i in sorted(keys):
        full = members and (len(members) + 1) * n_rows**2 * n_classes > _NUMBERS and len(members) >= 8
        other = members and (len(problems[members[0]].b0) != n_classes or n_rows > 1.3 * first + 2)
        if full or other:
            yield members
            members = []
        first = first if members else n_rows
        members.append(i)
    if members:
        yield members


@dataclass
class _Best:
    """Of each problem the best alpha so far, its score and the dual there."""

    score: np.ndarray
    alpha: np.ndarray
    dual: np.ndarray


class _Stack:
    """Problems of equally many classes, padded to equally many rows; rows of padding have no weight."""

    def __init__(self, problems: Sequence[SoftmaxProblem]):
        self.problems = problems
        n, b, n_classes = max(len(one.codes) for one in problems), len(problems), len(problems[0].b0)
        self.gram, self.weight = np.zeros((n, n, b)), np.zeros((n, b))
        self.start, self.onehot = np.zeros((n, n_classes, b)), np.zeros((n, n_classes, b))
        for k, one in enumerate(problems):
            rows, F = slice(0, len(one.codes)), one.features
            self.gram[rows, rows, k] = F @ F.T / F.shape[1] + 1.0
            self.start[rows, :, k] = F @ one.W0.T + one.b0
            self.onehot[np.arange(len(one.codes)), one.codes, k] = 1.0
            self.weight[rows, k] = one.weight

    def choose(self, alphas: np.ndarray, left_out: bool) -> tuple[_Best, np.ndarray]:
        """The alpha with the best evidence plus leave-one-out likelihood, and the held-out logits there.

        A score of minus infinity marks a problem that float64 cannot solve.
        """
        n, n_classes, b = self.start.shape
        best = _Best(np.full(b, -np.inf), np.full(b, np.nan), np.zeros_like(self.start))
        held_out = np.zeros((b, n, n_classes))
        path, going = _Path(self), np.arange(b)
        broken = np.zeros(b, dtype=bool)
        for alpha in alphas:
            found = path.advance(float(alpha), going, left_out)
            broken[going[~np.isfinite(found.score)]] = True
            better = found.score > best.score[going]
            new = going[better]
            best.score[new], best.alpha[new] = found.score[better], alpha
            best.dual[:, :, new], held_out[new] = found.polished[:, :, better], found.held_out[better]
            going = going[np.isfinite(found.score) & ~(found.score < best.score[going] - PATIENCE)]
            if not len(going):
                break
        best.score[broken] = -np.inf
        return best, held_out

    def log_evidence(self) -> np.ndarray:
        """Log evidence at the best of some alphas; it rises, then falls."""
        best, path, going = np.full(len(self.problems), -np.inf), _Path(self), np.arange(len(self.problems))
        for alpha in EVIDENCE_ALPHAS:
            found = path.advance(float(alpha), going, left_out=False)
            broken = ~np.isfinite(found.score)
            rising = ~broken & ~(found.score < best[going])
            best[going[broken]] = -np.inf
            best[going[rising]] = found.score[rising]
            going = going[rising]
            if not len(going):
                break
        return best

    def temperatures(self, held_out: np.ndarray) -> np.ndarray:
        """Under which the held-out logits of each problem are most likely, shape (n_problems,)."""
        return choose_temperatures(held_out, self.onehot.transpose(2, 0, 1), self.weight.T)

    def solution(self, k: int, best: _Best, used: float) -> Solution:
        """The head of problem `k` at its best alpha."""
        one = self.problems[k]
        n, d = one.features.shape
        dual = best.dual[:n, :, k] / best.alpha[k]
        return Solution(one.W0 + dual.T @ one.features / d, one.b0 + dual.sum(axis=0), used, 1)


@dataclass
class _Found:
    """Of each problem asked for: score, dual at the optimum, tangent there, refined dual, held-out logits."""

    score: np.ndarray
    dual: np.ndarray
    slope: np.ndarray
    polished: np.ndarray
    held_out: np.ndarray


class _Path:
    """Optima along falling alphas, each begun on the tangent of the path at the alpha before."""

    def __init__(self, stack: _Stack):
        self._stack = stack
        self._last: float | None = None
        self._dual, self._slope = np.zeros_like(stack.start), np.zeros_like(stack.start)

    def advance(self, alpha: float, going: np.ndarray, left_out: bool) -> _Found:
        """Scores at `alpha` of the problems `going`; minus infinity where a matrix is not positive definite."""
        stack = self._stack
        part = StackedPart(stack.gram, stack.start, stack.onehot, stack.weight, alpha).of(going)
        dual = some_of(self._dual, going)
        if self._last is not None:
            dual = (dual + np.log(self._last / alpha) * some_of(self._slope, going)) * (alpha / self._last)
        n, n_classes, b = dual.shape
        found = _Found(np.full(b, -np.inf), dual, np.zeros_like(dual), dual.copy(), np.zeros((b, n, n_classes)))
        _descend(part, np.arange(b), found, left_out)
        self._last = alpha
        self._dual[..., going], self._slope[..., going] = found.dual, found.slope
        return found


def _descend(part: StackedPart, numbers: np.ndarray, found: _Found, left_out: bool) -> None:
    """Damped Newton steps; a problem whose decrement is negligible is scored and set aside."""
    dual = found.dual
    moved = part.spread(dual)
    loss = part.loss(dual, moved)
    for n_steps in range(1, MAX_STEPS + 1):
        probabilities = stacked_softmax(part.start + moved)
        around = StackedApproximation(part, probabilities)
        residual = part.weight[:, None] * (part.onehot - probabilities)
        step = around.solve(around.times_curvature(moved) + residual) - dual
        moved_step = part.spread(step)
        decrement = np.einsum("ncb,ncb->b", moved_step, residual - dual)
        close = decrement < CLOSE
        size = np.where(close, 1.0, _line_search(part, (dual, moved, loss), (step, moved_step), decrement, ~close))
        broken = ~around.is_definite | ~np.isfinite(decrement)
        stuck = ~close & (size == 0)  # only rounding errors are left
        ends = (close | stuck | (n_steps == MAX_STEPS)) & ~broken
        dual, moved = dual + size * step, moved + size * moved_step
        if len(last := np.flatnonzero(ends)):
            _finish(part.of(last), around.of(last), some_of(dual, last), numbers[last], found, left_out)
        going = np.flatnonzero(~(ends | broken))
        if not len(going):
            return
        part, dual, moved, numbers = part.of(going), some_of(dual, going), some_of(moved, going), numbers[going]
        loss = part.loss(dual, moved)


def _line_search(part: StackedPart, at: tuple, step: tuple, decrement: np.ndarray, needed: np.ndarray) -> np.ndarray:
    """Size of the step of each problem: halved until the loss falls; zero below 1e-6."""
    (dual, moved, loss), (along, moved_along) = at, step
    size = np.ones(len(loss))
    for _ in range(21):
        trial = part.loss(dual + size * along, moved + size * moved_along)
        short = needed & (trial > loss - 1e-4 * size * decrement) & (size > 0)
        if not short.any():
            break
        size[short] *= 0.5
        size[size < 1e-6] = 0.0
    return size


def _finish(
    part: StackedPart,
    around: StackedApproximation,
    dual: np.ndarray,
    numbers: np.ndarray,
    found: _Found,
    left_out: bool,
) -> None:
    """Score the problems `numbers` at their optimum, by the curvature one step before it."""
    moved = part.spread(dual)
    logits = part.start + moved
    score = part.likelihood(logits) - 0.5 * np.einsum("ncb,ncb->b", dual, moved) - around.half_logdet()
    if left_out:
        held_out = logits + around.leave_one_out(part.weight[:, None] * (stacked_softmax(logits) - part.onehot))
        score = score + part.likelihood(held_out)
        found.held_out[numbers] = held_out.transpose(2, 0, 1)
    # where a fit alone goes on by L-BFGS: a step with the curvature at hand takes what the last one left
    residual = part.weight[:, None] * (part.onehot - stacked_softmax(logits))
    found.polished[..., numbers] = dual + around.solve(residual - dual)
    found.score[numbers] = np.where(np.isfinite(score), score, -np.inf)
    found.dual[..., numbers], found.slope[..., numbers] = dual, around.solve(dual)
