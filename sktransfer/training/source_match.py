r"""Which row of the source head each class of `y` begins from: knowledge that the labelled rows confirm.

::

    said by LinearHead(source_classes=...) ------------------------------------> taken
    equal names      \
    alphabetical order > matchings --log evidence of the labelled rows, ahead of a head of zeros--> the best after its
    agreement        /                                                    price; else none: all classes are new

Equal names alone prove nothing: another rig calls other things "ball", and encoders number what they meet. Wrong rows
of a source head make the labels less probable than a head of zeros does, right ones more probable, and one label a
class is often enough to see which it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cached_property
from math import comb, lgamma, log
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from sktransfer.backbones.source import Source
from sktransfer.exceptions import SourceClassWarning
from sktransfer.solvers.evidence import LogEvidence
from sktransfer.solvers.stacked_laplace import SoftmaxProblem, log_evidences
from sktransfer.training.rows import TrainingRows
from sktransfer.utils.counted_warnings import CountedWarning, warn_of
from sktransfer.utils.parameters import InvalidParameterError
from sktransfer.validation.labels import is_numbered

# Nats by which the labels must be more probable: odds of ten ("strong") where the names or codes with gaps are equal or
# were numbered, of a hundred ("decisive") where nothing but the rows or counting speaks for it (Jeffreys 1961, Theory
# of Probability).
STRONG, DECISIVE = log(10), log(100)
_N_ROWS = 64  # that decide; more take longer, and say the same


@dataclass(frozen=True)
class SourceMatch:
    """Rows of the source head by class.

    Parameters
    ----------
    rows : ndarray of int of shape (n_classes,)
        Row of the source head; -1 for a class that the source did not know.
    by : {"statement", "name", "order", "agreement", "nothing"}
        What proposed it.
    ahead : float
        Log evidence ahead of a head of zeros, in nats; NaN where it was not needed.
    better : ndarray of int of shape (n_classes,) or None
        Rows under which the labels are decisively more probable than under those that were stated or whose names are
        equal.
    strange : tuple
        Classes of a statement that `y` does not hold, while it holds others that the statement leaves out.
    """

    rows: np.ndarray
    by: str = "nothing"
    ahead: float = float("nan")
    better: np.ndarray | None = None
    strange: tuple[Any, ...] = ()

    @property
    def known(self) -> np.ndarray:
        """Classes that the source knew, bool of shape (n_classes,)."""
        return self.rows >= 0

    def source_classes(self, source: Source | None) -> list[Any]:
        """Name of the source class of each class; None for a new one."""
        names = source_names(source)
        return [names[row] if row >= 0 else None for row in self.rows.tolist()]


def source_names(source: Source | None) -> list[Any]:
    """Names of the rows of the source head; none where there is no source head of classes."""
    if source is None or source.weight is None or source.bias is None or source.classes is None:
        return []
    return [plain(name) for name in source.classes]


def plain(name: Any) -> Any:
    """``np.int64(3)`` and ``3`` are one class, ``"3"`` is another."""
    return name.item() if isinstance(name, np.generic) else name


def match_source(
    source_classes: Any, obeyed: bool, source: Source | None, classes: np.ndarray, features: Any, rows: TrainingRows
) -> SourceMatch:
    """Match the classes of a fit with the rows of the source head.

    Parameters
    ----------
    source_classes : "auto", "same", None, list or dict
        Of :class:`sktransfer.LinearHead`.
    obeyed : bool
        Whether equal names are taken as they are, because the source head was asked for; if there are numbers among
        the classes, the rows decide all the same.
    source : Source or None
        Its head acts on `features`.
    classes : ndarray of shape (n_classes,)
    features : ndarray of shape (n_samples, n_features)
        Standardised, float64.
    rows : TrainingRows
        Codes and weights.
    """
    names, own = source_names(source), [plain(name) for name in classes]
    if isinstance(source_classes, str) and source_classes == "auto":
        if source is None or not names:
            return SourceMatch(np.full(len(own), -1))
        equal = _equal(own, names)
        if obeyed and all(isinstance(name, str) for name in own):
            return SourceMatch(equal, "name" if equal.max() >= 0 else "nothing")
        return _Trial(source, classes, features, rows).earned(equal)
    stated = _stated(source_classes, own, names)
    strange = _strange(source_classes, own)
    if source is None or stated.max() < 0:
        return SourceMatch(stated, "statement", strange=strange)
    return replace(_Trial(source, classes, features, rows).tried(stated), strange=strange)


def match_sources(source: Source, fits: Sequence[tuple[np.ndarray, np.ndarray, TrainingRows]]) -> list[SourceMatch]:
    """What :func:`match_source` finds with ``"auto"`` for many fits of few rows, their evidence computed together.

    Parameters
    ----------
    source : Source
        With a head of classes.
    fits : sequence of (classes, features, rows)
        As :func:`match_source` takes them.
    """
    trials = [_Trial(source, *fit) for fit in fits]
    equal = [_equal(trial.own, trial.names) for trial in trials]
    problems = [trial.problems(by_name) for trial, by_name in zip(trials, equal, strict=True)]
    found = iter(log_evidences([problem for some in problems for problem in some]).tolist())
    for trial, some in zip(trials, problems, strict=True):
        trial.look_up({_key(problem.W0, problem.b0): next(found) for problem in some})
    return [trial.earned(by_name) for trial, by_name in zip(trials, equal, strict=True)]


def _key(W0: np.ndarray, b0: np.ndarray) -> bytes:
    return W0.tobytes() + b0.tobytes()


def _equal(own: list[Any], names: list[Any]) -> np.ndarray:
    """Rows of equal names, -1 where there is none."""
    where = {name: row for row, name in enumerate(names)}
    return np.array([where.get(name, -1) for name in own])


def centre_rows(W: np.ndarray, b: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The centre of a solved head: a new class is at the mean of the known rows, which says nothing of it."""
    W, b = W.copy(), b.copy()
    if known.any():
        W[~known], b[~known] = W[known].mean(axis=0), b[known].mean()
    return W, b


class _Trial:
    """The labelled rows as judges of matchings: at most 64 of them, as many of each class as there are."""

    def __init__(self, source: Source, classes: np.ndarray, features: np.ndarray, rows: TrainingRows):
        self.source, self.names, self.own = source, source_names(source), [plain(name) for name in classes]
        some = _first_of_each(rows.y, len(classes))
        self.present, self.codes = np.unique(rows.y[some], return_inverse=True)
        self.features, self.weight = features[some], rows.weight[some]

    @cached_property
    def _evidence(self) -> Callable[[np.ndarray, np.ndarray], float]:
        return LogEvidence(self.features, self.codes, self.weight, len(self.present))

    @cached_property
    def nothing(self) -> float:
        """Log evidence of a head of zeros."""
        return self._evidence(*self._zeros())

    def _zeros(self) -> tuple[np.ndarray, np.ndarray]:
        return np.zeros((len(self.present), self.features.shape[1])), np.zeros(len(self.present))

    def _head(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The head of a matching, for the classes that are there."""
        of = rows[self.present]
        return centre_rows(np.asarray(self.source.weight)[of], np.asarray(self.source.bias)[of], of >= 0)

    def ahead(self, rows: np.ndarray) -> float:
        """How much more probable the labels are under these rows than under a head of zeros, in nats."""
        evidence = self._evidence(*self._head(rows)) if np.isfinite(self.nothing) else -np.inf
        return evidence - self.nothing if np.isfinite(evidence) else -np.inf

    def problems(self, equal: np.ndarray) -> list[SoftmaxProblem]:
        """What :meth:`earned` may ask the evidence of."""
        order, agreeing = self._in_order()[0], self._agreeing()[0]
        proposed = [equal if equal.max() >= 0 else None, order, agreeing]
        heads = [self._zeros(), *(self._head(rows) for rows in proposed if rows is not None)]
        return [
            SoftmaxProblem(self.features, self.codes, self.weight, *head)
            for head in {_key(*head): head for head in heads}.values()
        ]

    def look_up(self, found: dict[bytes, float]) -> None:
        """Take the evidence of heads from `found`."""
        self._evidence = lambda W0, b0: found[_key(W0, b0)]

    def tried(self, stated: np.ndarray) -> SourceMatch:
        """The matching that was stated, and whether the rows agree with another one instead."""
        ahead, (other, price) = self.ahead(stated), self._agreeing()
        one_to_one = stated.min() >= 0 and len(set(stated.tolist())) == len(stated)
        if not one_to_one or np.array_equal(other, stated) or not self.ahead(other) > ahead + DECISIVE + price:
            return SourceMatch(stated, "statement", ahead)
        return SourceMatch(stated, "statement", ahead, other)

    def earned(self, equal: np.ndarray) -> SourceMatch:
        """The matching that the labels make most probable after its price; none where that is not above its price."""
        text = all(isinstance(self.names[row], str) for row in equal if row >= 0)
        best, gain = SourceMatch(np.full(len(self.own), -1)), 0.0
        order, agreeing = self._in_order(), self._agreeing()
        for by, proposed, price in (
            ("name", equal if equal.max() >= 0 else None, STRONG if text or self._are_codes(equal) else DECISIVE),
            ("order", order[0], STRONG + order[1]),
            ("agreement", agreeing[0], DECISIVE + agreeing[1]),
        ):
            # the labels cannot be more probable than certain
            if proposed is None or not -self.nothing > gain + price or np.array_equal(proposed, best.rows):
                continue
            ahead = self.ahead(proposed)
            if ahead > gain + price:
                differs = text and bool((proposed != equal)[equal >= 0].any())
                best, gain = SourceMatch(proposed, by, ahead, proposed if differs else None), ahead - price
        return best

    def _are_codes(self, equal: np.ndarray) -> bool:
        """Whether the classes are numbers with gaps, all of them the source's: nobody counts like that by chance."""
        counted = all(type(name) is int for name in self.own) and self.own[-1] - self.own[0] == len(self.own) - 1
        return bool((equal >= 0).all()) and all(type(name) is int for name in self.own) and not counted

    # A matching that was looked for among many pays the logarithm of their number.

    def _agreeing(self) -> tuple[np.ndarray, float]:
        """The one-to-one matching under which the source head finds the labels most probable."""
        classes, rows = linear_sum_assignment(-self._agreement())
        n, m = sorted((len(self.present), len(self.names)))
        return self._filled(classes, rows), lgamma(m + 1) - lgamma(m - n + 1)

    def _in_order(self) -> tuple[np.ndarray | None, float]:
        """The same among those that an encoder makes, which numbers names in alphabetical order."""
        n, m = len(self.present), len(self.names)
        if not is_numbered(self.own) or n > m or not all(isinstance(name, str) for name in self.names):
            return None, 0.0
        alphabetical = np.argsort(np.array(self.names), kind="stable")
        return self._filled(np.arange(n), alphabetical[_rising(self._agreement()[:, alphabetical])]), log(comb(m, n))

    def _agreement(self) -> np.ndarray:
        """Log-likelihood of the rows of each class if it were each of the source's, shape (n_present, n_source)."""
        logits = self.features @ np.asarray(self.source.weight).T + np.asarray(self.source.bias)
        logits -= logits.max(axis=1, keepdims=True)
        found = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        total = np.zeros((len(self.present), len(self.names)))
        np.add.at(total, self.codes, self.weight[:, None] * found)
        return total

    def _filled(self, classes: np.ndarray, rows: np.ndarray) -> np.ndarray:
        found = np.full(len(self.own), -1)
        found[self.present[classes]] = rows
        return found


def _first_of_each(codes: np.ndarray, n_classes: int) -> np.ndarray:
    """Numbers of the rows that judge: the first of each class, the second of each class, ..., up to 64, sorted."""
    firsts = [np.flatnonzero(codes == code)[:_N_ROWS].copy() for code in range(n_classes)]  # not a view of all
    rank = np.concatenate([np.arange(len(first)) for first in firsts])
    return np.sort(np.concatenate(firsts)[np.argsort(rank, kind="stable")[:_N_ROWS]])


def _rising(gain: np.ndarray) -> np.ndarray:
    """A column for each row, from left to right, with the largest sum: the columns in order."""
    n, m = gain.shape
    best = np.full((n + 1, m + 1), -np.inf)
    best[0] = 0.0
    for i in range(1, n + 1):
        for j in range(i, m + 1):
            best[i, j] = max(best[i, j - 1], best[i - 1, j - 1] + gain[i - 1, j - 1])
    columns, j = [], m
    for i in range(n, 0, -1):
        while j > i and best[i, j] == best[i, j - 1]:
            j -= 1
        columns.append(j - 1)
        j -= 1
    return np.array(columns[::-1], dtype=np.intp)


# ---- what a user states


def _stated(source_classes: Any, own: list[Any], names: list[Any]) -> np.ndarray:
    """The rows that the parameter ``source_classes`` names."""
    if source_classes is None:
        return np.full(len(own), -1)
    if not names:
        raise ValueError(
            f"LinearHead got source_classes={source_classes!r}, but the backbone carries no source head of classes. "
            "Leave source_classes='auto'."
        )
    if isinstance(source_classes, str):
        if source_classes != "same":
            raise InvalidParameterError(
                "The 'source_classes' parameter of LinearHead must be 'auto', 'same', None, a list or a dict. Got "
                f"{source_classes!r} instead."
            )
        wanted = [name if name in names else None for name in own]
    elif isinstance(source_classes, Mapping):
        stated = {plain(name): plain(of) for name, of in source_classes.items()}
        wanted = [stated.get(name) for name in own]
    elif isinstance(source_classes, list | tuple | np.ndarray):
        wanted = _by_position([plain(of) for of in source_classes], own)
    else:
        raise InvalidParameterError(
            "The 'source_classes' parameter of LinearHead must be 'auto', 'same', None, a list or a dict. Got "
            f"{source_classes!r} instead."
        )
    for of in wanted:
        if of is not None and of not in names:
            near = get_close_matches(str(of), [str(name) for name in names], 1)
            raise ValueError(
                f"LinearHead(source_classes=...) names the source class {of!r}, which the source head does not have. "
                f"It has {names}" + (f"; did you mean {near[0]!r}?" if near else ".")
            )
    if all(of is None for of in wanted) and (isinstance(source_classes, str) or len(source_classes) > 0):
        raise ValueError(
            f"LinearHead(source_classes={source_classes!r}) names no source class for any of the classes {own} of y. "
            f"The source head has {names}; pass a list with one of them, or None, for each class of y."
        )
    return _equal(wanted, names)


def _strange(source_classes: Any, own: list[Any]) -> tuple[Any, ...]:
    """Keys of a dict that are no class, if a class has no key: a fold lacks a class now and then, but not both."""
    if not isinstance(source_classes, Mapping):
        return ()
    stated = [plain(name) for name in source_classes]
    return tuple(name for name in stated if name not in own) if set(own) - set(stated) else ()


def _by_position(stated: list[Any], own: list[Any]) -> list[Any]:
    """A list goes by position: integers from 0 are positions, else the classes are counted in sorted order."""
    if all(type(name) is int and 0 <= name < len(stated) for name in own):
        return [stated[name] for name in own]
    if len(stated) != len(own):
        raise ValueError(
            f"LinearHead(source_classes=...) lists {len(stated)} source classes, but y holds {len(own)} classes: {own}."
            " List one for each class of y in sorted order, or pass a dict."
        )
    return stated


# ---- what is said of it


def warn_of_match(name: str, match: SourceMatch, source: Source | None, classes: np.ndarray) -> None:
    """Warn where names or statements are contradicted by the rows, or where labels look renumbered."""
    own, of = [plain(one) for one in classes], match.source_classes(source)
    if match.strange:
        left_out = [name for name, row in zip(own, match.rows, strict=True) if row < 0]
        text = (
            f"{name}: LinearHead(source_classes=...) names the classes {list(match.strange)}, which y does not hold, "
            f"and y holds the classes {left_out}, which begin as new ones. Check the names; None says that one is new."
        )
        warn_of(CountedWarning(text, SourceClassWarning, count=1, total=1))
    if match.better is not None and match.by == "statement":
        agreeing = SourceMatch(match.better).source_classes(source)
        text = (
            f"{name}: LinearHead(source_classes=...) lets the classes {own} begin at {of} of the source head, but "
            f"their rows agree with {agreeing} far better. Check the statement and the labels."
        )
    elif match.better is not None:
        text = (
            f"{name}: the rows of the classes {own} agree with {of} of the source head, not with its classes of the "
            "same names, and the head begins where they agree. Check the labels. If the names mean something else "
            "here, say which classes of the source head they are by LinearHead(source_classes=[...]), or None."
        )
    elif match.by == "order" and None not in of:
        text = (
            f"{name}: y holds the integers 0 to {len(own) - 1}, whose rows agree with classes of the source head in "
            "alphabetical order, as if an encoder had numbered the names (cross_val_predict, VotingClassifier and "
            f"CalibratedClassifierCV do). The head begins there. Say so by LinearHead(source_classes={of}), or by "
            "source_classes=None if it is chance."
        )
    else:
        return
    warn_of(CountedWarning(text, SourceClassWarning, count=1, total=1))
