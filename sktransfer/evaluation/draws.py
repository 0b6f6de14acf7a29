"""Draws: which rows of the target get labels, and on which rows everything is scored.

::

    X, y, groups --cv--> pool | scored          one split a draw; groups lie on one side
                         pool --> 1, 2, 5, ... labelled rows a class; few are among many
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold, check_cv

from sktransfer.utils.counted_nouns import counted
from sktransfer.utils.counted_warnings import listed, warn_caller
from sktransfer.utils.parameters import invalid_parameter, is_whole
from sktransfer.validation.neighbours import row_numbers, warn_of_neighbours

_NAME = "compare"


@dataclass(frozen=True)
class Draw:
    """One split and one random choice of labelled rows, the same for all methods.

    Parameters
    ----------
    number : int
    pool, scored : ndarray of int
        Rows that may get a label, and rows that everything is scored on. No row is in both.
    labelled : dict of int to ndarray of int
        For each number of labels the labelled rows, ascending; some of `pool`. The rows of fewer labels are among those
        of more.
    seed : int
        ``random_state`` of the fits of this draw.
    """

    number: int
    pool: np.ndarray
    scored: np.ndarray
    labelled: dict[int, np.ndarray]
    seed: int


def make_draws(
    X: Any,
    y: np.ndarray,
    classes: np.ndarray | None,
    *,
    groups: np.ndarray | None,
    cv: Any,
    n_labels: Sequence[int],
    n_draws: int,
    by_group: bool,
    rng: np.random.Generator,
) -> list[Draw]:
    """Draws of labelled rows.

    Parameters
    ----------
    X : rows or windows
        Handed to the splitter.
    y : ndarray of shape (n_rows,) or (n_rows, n_outputs)
        Numbers of classes, or values.
    classes : ndarray or None
        Names of the classes; None for a regression.
    groups : ndarray of shape (n_rows,) or None
    cv : int, splitter, iterable or None
        None: halves, drawn anew for every second draw.
    n_labels : sequence of int
        Labelled rows a class, or in all for a regression; with `by_group` labelled groups.
    n_draws : int
    by_group : bool
        Whether whole groups get labels.
    rng : Generator

    Returns
    -------
    list of Draw

    Raises
    ------
    ValueError
        If no split is possible, or a split has common rows on both sides.
    """
    if groups is not None and len(np.unique(groups)) < 2:
        raise ValueError(
            f"{_NAME}: all rows are of one group, so that no row of another group is left to score on. Label rows of a "
            "second group (run, machine, day), or leave groups out and read the scores as those of this group alone."
        )
    if classes is not None and groups is not None and (cv is None or is_whole(cv)):
        _check_groups_of_classes(y, classes, groups)
    splits = _splits(X, y, classes, groups, cv, n_draws, rng)
    warn_of_neighbours(_NAME, X, groups, splits, "cv=None, GroupKFold")
    draws: list[Draw] = []
    short: dict[Any, int] = {}
    unlearned: set[Any] = set()
    for number, (pool, scored) in enumerate(splits):
        if classes is not None:
            learned = np.isin(y[scored], np.unique(y[pool]))
            unlearned |= set(classes[np.unique(y[scored][~learned])].tolist())
            scored = scored[learned]
        _check_split(pool, scored, y, classes)
        labelled = {}
        for n, rows, lacking in _labelled(y, classes, groups if by_group else None, pool, n_labels, rng):
            labelled[n] = rows
            for name, found in lacking.items():
                short[name] = min(found, short.get(name, found))
        draws.append(Draw(number, pool, scored, labelled, int(rng.integers(2**31 - 1))))
    _warn(short, sorted(unlearned, key=str), max(n_labels), by_group)
    return draws


def _splits(X: Any, y: Any, classes: Any, groups: Any, cv: Any, n_draws: int, rng: Any) -> list[tuple[Any, Any]]:
    """Pairs of pool and scored rows, one a draw."""
    if cv is None or is_whole(cv):
        n_folds = 2 if cv is None else int(cv)
        if n_folds < 2:
            raise invalid_parameter(_NAME, "cv", "be at least 2, a splitter or an iterable of splits", cv)
        found: list[tuple[Any, Any]] = []
        while len(found) < n_draws:
            found += _folds(n_folds, X, y, classes, groups, int(rng.integers(2**31 - 1)))
        return found[:n_draws]
    drawn = list(check_cv(cv).split(X, y, groups))
    if not drawn:
        raise ValueError(f"{_NAME}: cv={cv!r} yields no split.")
    pairs = [(row_numbers(pool), row_numbers(scored)) for pool, scored in drawn]
    return [pairs[k % len(pairs)] for k in range(n_draws)]


def _check_groups_of_classes(y: np.ndarray, classes: np.ndarray, groups: np.ndarray) -> None:
    """Two classes must lie in two groups each, or no split has both sides."""
    lone = [name for c, name in enumerate(classes.tolist()) if len(np.unique(groups[y == c])) < 2]
    if len(classes) - len(lone) < 2:
        raise ValueError(
            f"{_NAME}: the classes {listed(lone)} lie in one group each, so that their rows cannot be both labelled "
            "and scored. Give rows of a second group (run, machine, day) of them, or leave groups out and read the "
            "scores as those of these groups alone."
        )


def _folds(n_folds: int, X: Any, y: np.ndarray, classes: Any, groups: Any, seed: int) -> list[tuple[Any, Any]]:
    many = len(y) if groups is None else len(np.unique(groups))
    if many < n_folds:
        raise ValueError(
            f"{_NAME}: cv={n_folds} needs at least {n_folds} {'rows' if groups is None else 'groups'}; X has {many}."
        )
    kind: Any
    if classes is None:
        kind = KFold if groups is None else GroupKFold
    else:
        kind = StratifiedKFold if groups is None else StratifiedGroupKFold
    splitter = kind(n_folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of rare classes, which are counted here
        return list(splitter.split(np.zeros(len(y)), y, groups))


def _check_split(pool: np.ndarray, scored: np.ndarray, y: np.ndarray, classes: np.ndarray | None) -> None:
    both = np.intersect1d(pool, scored)
    if len(both):
        raise ValueError(
            f"{_NAME}: cv gives a split with {counted(len(both), 'row')} on both sides (first: {both[:5].tolist()}). "
            "Rows that are scored must not be drawn."
        )
    n_classes = 2 if classes is None else len(np.unique(y[pool]))
    if len(scored) < 2 or n_classes < 2:
        found = f"{len(pool)} to draw from, of {n_classes} class{'es' * (n_classes > 1)}, and {len(scored)} to score on"
        raise ValueError(
            f"{_NAME} needs in every split rows of two classes to draw from and at least two rows to score on; one has "
            f"{found}. Give more groups or rows of the rare classes, or pass cv=..."
        )


def _labelled(
    y: np.ndarray, classes: Any, groups: np.ndarray | None, pool: np.ndarray, n_labels: Sequence[int], rng: Any
) -> Iterable[tuple[int, np.ndarray, dict[Any, int]]]:
    """For each number of labels the rows, and how many there are of each class (or group) that has fewer."""
    order = rng.permutation(pool)
    names = [] if classes is None else classes.tolist()
    kinds = {names[c]: order[y[order] == c] for c in np.unique(y[pool])} if names else {"rows": order}
    if groups is not None:
        kinds = {name: _in_order(groups[rows]) for name, rows in kinds.items()}
    for n in n_labels:
        chosen = np.concatenate([units[:n] for units in kinds.values()])
        rows = np.sort(chosen) if groups is None else np.sort(pool[np.isin(groups[pool], chosen)])
        yield n, rows, {name: len(units) for name, units in kinds.items() if len(units) < n}


def _in_order(groups: np.ndarray) -> np.ndarray:
    """Different groups in the order in which they come."""
    found, first = np.unique(groups, return_index=True)
    return found[np.argsort(first)]


def _warn(short: dict[Any, int], unlearned: list[Any], most: int, by_group: bool) -> None:
    unit = "groups" if by_group else "rows"
    if short:
        fewest = min(short, key=lambda name: short[name])
        what = f"{unit} to draw from" + ("" if list(short) == ["rows"] else f" in the classes {listed([*short])}")
        warn_caller(
            f"{_NAME}: there are fewer than {most} {what}; the fewest are {short[fewest]}. Draws take all of them, so "
            "that larger numbers of labels stand for what there is."
        )
    if unlearned:
        warn_caller(
            f"{_NAME}: in some splits the classes {listed(unlearned)} have no row to draw, because all of them are "
            "among the scored ones. These rows are not scored there. Give rows of another group of each class."
        )
