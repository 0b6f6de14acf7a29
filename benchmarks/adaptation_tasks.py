"""Every task of the adaptation benchmarks in one form, and how labels are drawn from it.

::

    task = one of SCORED["tep-rows"](folder)      raw rows of source machines and of one target machine
    part = draw(task, n_labels=5, seed=0)         labelled | unlabelled | scored rows of the target
    rows = stacked(task, part)                    X, y, sample_domain of one fit, scaled; X_scored, y_scored

Inductive (the default): a scored row is in no fit, not even without its label; not in a scaler's either.
Transductive: the scored rows are among the unlabelled rows of the fit. A table says which it is.
Nothing is chosen on a task of `SCORED`; `DEVELOPMENT` is for choices.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from sklearn.model_selection import train_test_split

from sktransfer import BaselineScaler

UNLABELLED = -1  # of classification; NaN in regression
COUNTS = ("class", "total", "group", "first")
SCALINGS = ("own", "healthy", "source", "none")


@dataclass
class Task:
    """Rows of source machines and of one target machine, as they come.

    Parameters
    ----------
    set, name : str
        Of the data, and of this task in it.
    X_source : ndarray of shape (n_source, n_columns), or (n_source, n_channels, window_length)
    y_source : ndarray of shape (n_source,)
        Whole numbers from 0 up (classes), or floats (regression).
    domain_source : ndarray of shape (n_source,)
        Numbers of the source machines, from 1 up.
    X_target, y_target : ndarrays
        In time order inside a recording or year.
    pool, scored : ndarray of shape (n_target,) of bool, optional
        Rows that a fit may know, and rows that are scored; no row is both. None, both: each draw halves the groups, or
        the rows of each class, at random (a transductive draw scores every row without a label).
    groups_source, groups_target : ndarray or None
        Engine or recording of each row, where a machine has several for a class; None where rows are exchangeable, and
        where one run a class leaves nothing to split by.
    normal_label : int or None
        Class of healthy rows.
    healthy_source, healthy_target : ndarray of bool or None
        Rows that are known to be healthy whatever is drawn. Those of the target are in the pool.
    kind : {"classification", "regression"}
    metric : str
        "balanced accuracy", "accuracy", "RMSE" or "MAE".
    count : {"class", "total", "group", "first"}
        What a number of labels counts: rows of each class, rows in all, whole groups, or the first rows in time.
    n_labels : tuple of int
        Numbers of labels of the published or measured table.
    scaling : {"own", "healthy", "source", "none"}
        The usual scaling of `stacked`.
    clip : float or None
        Of that scaling.
    classes : tuple of str
        Names of the classes 0, 1, ...
    last : ndarray of shape (n_target,) of bool, optional
        The last scored row of each group, for the PHM08 score.
    """

    set: str
    name: str
    X_source: np.ndarray
    y_source: np.ndarray
    domain_source: np.ndarray
    X_target: np.ndarray
    y_target: np.ndarray
    pool: np.ndarray | None = None
    scored: np.ndarray | None = None
    groups_source: np.ndarray | None = None
    groups_target: np.ndarray | None = None
    normal_label: int | None = None
    healthy_source: np.ndarray | None = None
    healthy_target: np.ndarray | None = None
    kind: str = "classification"
    metric: str = "balanced accuracy"
    count: str = "class"
    n_labels: tuple[int, ...] = (0, 1, 5)
    scaling: str = "own"
    clip: float | None = None
    classes: tuple[str, ...] = ()
    last: np.ndarray | None = None

    @property
    def unlabelled_label(self) -> float:
        """What `y` holds for a row without a label."""
        return UNLABELLED if self.kind == "classification" else np.nan

    @property
    def windows(self) -> bool:
        """Whether a row is a window."""
        return self.X_target.ndim > 2


@dataclass
class Draw:
    """Indices of rows of the target, ascending; `scored` rows are in `unlabelled` only if it is transductive."""

    labelled: np.ndarray
    unlabelled: np.ndarray
    scored: np.ndarray
    transductive: bool = False
    seed: int = 0


@dataclass
class Stacked:
    """One fit: source rows, labelled rows of the target, unlabelled ones (in this order); and what is scored.

    Parameters
    ----------
    X, y, sample_domain : ndarrays
        Scaled rows; labels, `Task.unlabelled_label` for rows without; source machines from 1 up, the target is -1.
    groups : ndarray or None
        Of each row, -1 of source rows without groups; None if the target has none.
    X_scored, y_scored : ndarrays
    """

    X: np.ndarray
    y: np.ndarray
    sample_domain: np.ndarray
    groups: np.ndarray | None
    X_scored: np.ndarray
    y_scored: np.ndarray
    n_labelled: int

    @property
    def source(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows and labels of the source."""
        of = self.sample_domain > 0
        return self.X[of], self.y[of]

    @property
    def labelled(self) -> tuple[np.ndarray, np.ndarray]:
        """Labelled rows of the target and their labels."""
        begin = int((self.sample_domain > 0).sum())
        of = slice(begin, begin + self.n_labelled)
        return self.X[of], self.y[of]

    @property
    def unlabelled(self) -> np.ndarray:
        """Rows of the target without labels."""
        return self.X[int((self.sample_domain > 0).sum()) + self.n_labelled :]

    @property
    def known(self) -> np.ndarray:
        """Mask of rows with a label, for what learns from labels alone."""
        mask = np.ones(len(self.y), dtype=bool)
        mask[int((self.sample_domain > 0).sum()) + self.n_labelled :] = False
        return mask


def draw(task: Task, n_labels: int, seed: int, transductive: bool = False) -> Draw:
    """Which rows of the target are labelled, known without a label, and scored.

    Parameters
    ----------
    n_labels : int
        Counted as `Task.count` says; all where there are fewer.
    seed : int
        Draws are the same for every method.
    transductive : bool
        The scored rows are known without their labels, too.
    """
    pool, scored = _sides(task, seed)
    if transductive and task.pool is None:
        pool = np.ones(len(pool), dtype=bool)
    labelled = np.sort(_labelled(task, np.flatnonzero(pool), n_labels, np.random.default_rng(seed)))
    if transductive:
        scored = scored if task.pool is not None else ~_mask(labelled, len(pool))
        pool = pool | scored
    unlabelled = np.flatnonzero(pool & ~_mask(labelled, len(pool)))
    return Draw(labelled, unlabelled, np.flatnonzero(scored), transductive, seed)


def draw_skewed(task: Task, seed: int, n_healthy: int = 20, n_fault: int = 1) -> Draw:
    """A target of unlabelled rows that are healthy for the most part; transductive: these rows are scored."""
    rng, y = np.random.default_rng(seed), task.y_target
    chosen = [
        rng.permutation(np.flatnonzero(y == label))[: n_healthy if label == task.normal_label else n_fault]
        for label in np.unique(y)
    ]
    rows = np.sort(np.concatenate(chosen))
    return Draw(np.empty(0, dtype=np.int64), rows, rows, True, seed)


def _mask(rows: np.ndarray, n: int) -> np.ndarray:
    mask = np.zeros(n, dtype=bool)
    mask[rows] = True
    return mask


def _sides(task: Task, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Masks of what a fit may know and of what is scored."""
    if task.pool is not None and task.scored is not None:
        return task.pool, task.scored
    n = len(task.y_target)
    if task.groups_target is not None:
        engines = np.unique(task.groups_target)
        chosen = np.random.default_rng(seed).permutation(engines)[: len(engines) // 2]
        pool = np.isin(task.groups_target, chosen)
        return pool, ~pool
    classes = task.y_target if task.kind == "classification" else None
    first, second = train_test_split(np.arange(n), test_size=0.5, random_state=seed, stratify=classes)
    return _mask(first, n), _mask(second, n)


def _labelled(task: Task, pool: np.ndarray, n_labels: int, rng: np.random.Generator) -> np.ndarray:
    if task.count == "first":
        return pool[:n_labels]
    if task.count == "total":
        return rng.permutation(pool)[:n_labels]
    if task.count == "group":
        groups = task.groups_target[pool]
        return pool[np.isin(groups, rng.permutation(np.unique(groups))[:n_labels])]
    y = task.y_target[pool]
    return np.concatenate([rng.permutation(pool[y == label])[:n_labels] for label in np.unique(y)])


def stacked(task: Task, part: Draw, scaling: str | None = None) -> Stacked:
    """The rows of one fit and the scored ones, scaled by rows of the fit alone.

    Parameters
    ----------
    scaling : {"own", "healthy", "source", "none"}, optional
        Each machine by all its own rows; each by its healthy rows (signed logarithm beyond them), those of the target
        being the ones known to be so and labelled ones; all by the source's rows; not at all. None: `Task.scaling`.
    """
    scaling = scaling or task.scaling
    if scaling not in SCALINGS:
        raise ValueError(f"scaling is one of {SCALINGS}, got {scaling!r}")
    rows, n_source = np.r_[part.labelled, part.unlabelled], len(task.y_source)
    X = np.concatenate([task.X_source, task.X_target[rows]])
    truth = np.concatenate([task.y_source, task.y_target[rows]])
    domain = np.r_[task.domain_source, np.full(len(rows), -1)].astype(np.int64)
    y = truth.copy()
    y[n_source + len(part.labelled) :] = task.unlabelled_label
    X_scored = task.X_target[part.scored]
    if scaling != "none":
        scaler, fit_domain = _fitted_scaler(task, part, scaling, X, y, domain)
        X = scaler.transform(X, sample_domain=fit_domain)
        X_scored = scaler.transform(X_scored, sample_domain=np.full(len(X_scored), -1 if scaling != "source" else 1))
    groups = None
    if task.groups_target is not None:
        of_source = np.full(n_source, -1) if task.groups_source is None else task.groups_source
        groups = np.r_[of_source, task.groups_target[rows]]
    return Stacked(X, y, domain, groups, X_scored, task.y_target[part.scored], len(part.labelled))


def _fitted_scaler(task: Task, part: Draw, scaling: str, X: np.ndarray, y: np.ndarray, domain: np.ndarray):
    """The scaler, and the domains of the rows of the fit as it knows them."""
    if scaling == "healthy":
        healthy = _healthy(task, part, y, domain)
        return BaselineScaler(clip=task.clip).fit(X[healthy], sample_domain=domain[healthy]), domain
    scaler = BaselineScaler(compress=False, clip=task.clip)
    if scaling == "source":
        ones = np.ones(len(domain), dtype=np.int64)
        return scaler.fit(X[domain > 0], sample_domain=ones[domain > 0]), ones
    return scaler.fit(X, sample_domain=domain), domain


def _healthy(task: Task, part: Draw, y: np.ndarray, domain: np.ndarray) -> np.ndarray:
    """Rows of the fit that are known to be healthy; of the target the labelled ones where no others are."""
    labelled = np.zeros(len(y), dtype=bool) if task.normal_label is None else y == task.normal_label
    healthy, rows = labelled.copy(), np.r_[part.labelled, part.unlabelled]
    if task.healthy_source is not None:
        healthy[domain > 0] = task.healthy_source
    if task.healthy_target is not None:
        healthy[domain < 0] = task.healthy_target[rows]
    for side, mask in (("source", domain > 0), ("target", domain < 0)):
        if not healthy[mask].any():
            raise ValueError(
                f"{task.set} {task.name}: no row of the {side} is known to be healthy; take another scaling"
            )
    return healthy


def with_permuted_source(task: Task, seed: int) -> Task:
    """The task with a source that has nothing to do with the target: its labels are shuffled."""
    shuffled = np.random.default_rng(seed).permutation(task.y_source)
    return replace(task, name=f"{task.name}, source labels permuted", y_source=shuffled)


def phm08(y: np.ndarray, predicted: np.ndarray) -> float:
    """The score of the PHM08 challenge (Saxena et al. 2008): late predictions of remaining life cost more."""
    late = np.asarray(predicted, dtype=np.float64) - y
    return float(np.sum(np.where(late < 0, np.exp(-late / 13), np.exp(late / 10)) - 1))


def numbered(*labels: np.ndarray) -> tuple[tuple[str, ...], list[np.ndarray]]:
    """Names of all classes, sorted, and each array of labels as numbers."""
    classes = np.unique(np.concatenate(labels))
    return tuple(str(name) for name in classes), [np.searchsorted(classes, part) for part in labels]


def every_task(loaders, folder, only=None) -> Iterator[Task]:
    """All tasks of some sets; `only`: names of sets."""
    for name, load in loaders.items():
        if only is None or name in only:
            yield from load(folder)
