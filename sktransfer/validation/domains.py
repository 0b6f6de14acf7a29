"""`sample_domain`: the machine, mode or batch of each row, as in skada; and which rows have no label.

::

    sample_domain: 1  1  2  2 -1 -1          > 0: source machines, < 0: target machines
    or as text:    A  A  B  B  C  C          with target_domain="C"
    y:             ok leak ok leak ok None   unlabelled rows: `unlabelled_label`, or None among texts
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np

from sktransfer.utils.masks import refuse_mask


@dataclass(frozen=True)
class Domains:
    """Who is who among the rows of a fit.

    Parameters
    ----------
    ids : ndarray of shape (n_rows,), int64
        Positive for source machines, negative for target machines.
    names : dict of int to object
        Each number's domain as the caller named it.
    """

    ids: np.ndarray
    names: dict[int, Any]

    @property
    def target(self) -> np.ndarray:
        """Rows of a target machine, shape (n_rows,) of bool."""
        return self.ids < 0

    @property
    def sources(self) -> list[int]:
        """Numbers of the source machines, ascending."""
        return sorted(number for number in self.names if number > 0)

    @property
    def targets(self) -> list[int]:
        """Numbers of the target machines, -1 first."""
        return sorted((number for number in self.names if number < 0), reverse=True)


def check_domains(sample_domain: Any, n_rows: int) -> np.ndarray:
    """Numbers of the domains of rows or windows; those of the two signs are different domains.

    Parameters
    ----------
    sample_domain : array-like of shape (n_rows,) or None
        Whole numbers other than zero, positive for sources and negative for targets. None: zero for every row.
    n_rows : int

    Returns
    -------
    ndarray of shape (n_rows,), int64

    Raises
    ------
    ValueError
        For another shape, and for numbers that are not whole or are zero.
    """
    if sample_domain is None:
        return np.zeros(n_rows, dtype=np.int64)
    refuse_mask("sample_domain", "it", sample_domain)
    domains = np.asarray(sample_domain)
    if domains.shape != (n_rows,):
        raise ValueError(f"sample_domain has shape {domains.shape}; expected ({n_rows},), one number a row.")
    if domains.dtype.kind not in "iu" or (domains == 0).any():
        raise ValueError(
            "sample_domain takes whole numbers other than zero: positive for sources, negative for targets."
        )
    return domains.astype(np.int64)


def domain_names(sample_domain: Any, n_rows: int) -> np.ndarray:
    """Domain of each row as the caller names it: whole numbers, as :func:`check_domains` takes them, or texts.

    Returns
    -------
    ndarray of shape (n_rows,), int64 or str
    """
    given = np.asarray(sample_domain)
    if sample_domain is None or given.dtype.kind not in "UO" or given.shape != (n_rows,):
        return check_domains(sample_domain, n_rows)
    refuse_mask("sample_domain", "it", sample_domain)
    values = given.tolist()
    if all(isinstance(value, Integral) and not isinstance(value, bool) for value in values):
        return check_domains(np.array(values, dtype=np.int64), n_rows)
    bad = next((i for i, value in enumerate(values) if not isinstance(value, str)), None)
    if bad is not None:
        raise ValueError(f"sample_domain takes whole numbers, or texts; row {bad} holds {values[bad]!r}.")
    return given.astype(str)


def source_and_target(
    name: str,
    sample_domain: Any,
    n_rows: int,
    target_domain: Hashable | Sequence[Hashable] | None = None,
) -> Domains:
    """The domains of a fit on rows of source and target machines.

    Parameters
    ----------
    name : str
        Of the estimator, for messages.
    sample_domain : array-like of shape (n_rows,)
        Whole numbers other than zero, positive for sources and negative for targets; or, with `target_domain`, any
        whole numbers or texts.
    n_rows : int
    target_domain : number, text or sequence of them, optional
        The domains of `sample_domain` that are targets; all others are sources. Without it the sign tells.

    Raises
    ------
    ValueError
        Without `sample_domain`, for another shape or kind, for texts without `target_domain`, for a `target_domain`
        that no row has, and if there are no source rows or no target rows.
    """
    if sample_domain is None:
        raise ValueError(
            f"{name} trains on source and target rows together and must know which is which. Pass "
            f"sample_domain={_FORM}."
        )
    if target_domain is None:
        kind = np.asarray(sample_domain).dtype.kind
        if kind in "UOS":
            raise ValueError(
                f"{name} got a sample_domain of texts, which have no sign. Name the target machine by "
                f"target_domain=..., or pass sample_domain={_FORM}."
            )
        ids = check_domains(sample_domain, n_rows)
        names: dict[int, Any] = {int(number): int(number) for number in np.unique(ids)}
    else:
        ids, names = _numbered(name, sample_domain, n_rows, target_domain)
    for role, found, sign in (("source", (ids > 0).any(), "> 0"), ("target", (ids < 0).any(), "< 0")):
        if not found:
            raise ValueError(
                f"{name} got no {role} rows: sample_domain holds {list(names.values())[:10]}. Pass rows of a {role} "
                f"machine with a number {sign}, or name the targets by target_domain=..."
            )
    return Domains(ids, names)


_FORM = "..., one whole number a row: positive for source machines, negative for target machines"


def _numbered(name: str, sample_domain: Any, n_rows: int, target_domain: Any) -> tuple[np.ndarray, dict[int, Any]]:
    """Numbers in place of names: sources from 1 up, targets from -1 down, in the order of the sorted names."""
    refuse_mask("sample_domain", "it", sample_domain)
    given = np.asarray(sample_domain)
    if given.shape != (n_rows,):
        raise ValueError(f"sample_domain has shape {given.shape}; expected ({n_rows},), one name or number a row.")
    values = given.tolist()
    bad = next((i for i, value in enumerate(values) if not isinstance(value, str | int) or value is True), None)
    if bad is not None:
        raise ValueError(f"sample_domain takes texts or whole numbers; row {bad} holds {values[bad]!r}.")
    targets = [target_domain] if isinstance(target_domain, str | int | np.integer) else list(target_domain)
    present = sorted(set(values), key=lambda value: (str(type(value)), value))
    missing = [target for target in targets if target not in present]
    if missing or not targets:
        raise ValueError(f"{name}: target_domain={target_domain!r} names no rows; sample_domain holds {present[:10]}.")
    sources = [value for value in present if value not in targets]
    numbers = {value: k for k, value in enumerate(sources, 1)}
    numbers |= {value: -k for k, value in enumerate([v for v in present if v in targets], 1)}
    ids = np.array([numbers[value] for value in values], dtype=np.int64)
    return ids, {number: value for value, number in numbers.items()}


def unlabelled_rows(name: str, y: Any, unlabelled_label: Any) -> np.ndarray:
    """Rows without a label, shape (n_rows,) of bool.

    Parameters
    ----------
    name : str
        Of the estimator, for messages.
    y : array-like of shape (n_rows,) or (n_rows, n_outputs)
        Labels. Among texts None, NaN and NaT mark a row without a label, whatever `unlabelled_label` is. Of several
        outputs a row is unlabelled if all of them are.
    unlabelled_label : object
        The value of `y` that marks a row without a label; NaN for numbers to predict.
    """
    import pandas as pd

    refuse_mask(name, "y", y)
    y = y if isinstance(y, np.ndarray) else np.asarray(y, dtype=object)
    marked = np.asarray(pd.isna(y), dtype=bool)
    if not pd.isna(unlabelled_label):
        # element by element: numpy compares a text and a number by turning both into texts, or not at all
        marked[~marked] = [_equal(value, unlabelled_label) for value in y[~marked].tolist()]
    return np.asarray(marked.reshape(len(y), -1).all(axis=1))


def _equal(value: Any, label: Any) -> bool:
    return isinstance(value, str) == isinstance(label, str) and bool(value == label)


def labelled_rows(name: str, y: Any, domains: Domains, unlabelled_label: Any) -> np.ndarray:
    """Rows that have a label, shape (n_rows,) of bool; those of the sources must.

    Raises
    ------
    ValueError
        For another number of labels than rows, and for source rows without a label.
    """
    if len(y) != len(domains.ids):
        raise ValueError(
            f"Found input variables with inconsistent numbers of samples: [{len(domains.ids)}, {len(y)}] (X and y)."
        )
    unlabelled = unlabelled_rows(name, y, unlabelled_label)
    clash = unlabelled & ~domains.target
    if clash.any():
        raise ValueError(
            f"{name}: {int(clash.sum())} source rows carry unlabelled_label={unlabelled_label!r} or no label at all "
            f"(rows {np.flatnonzero(clash)[:5].tolist()}). If it is a class, pass another unlabelled_label; else leave "
            "these rows out: a source teaches by its labels."
        )
    return ~unlabelled


def target_share_of(target_weight: float | str) -> float:
    """The share that a parameter ``target_weight`` stands for; ``"auto"`` is a half."""
    return 0.5 if target_weight == "auto" else float(target_weight)


def domain_shares(ids: np.ndarray, target_share: float) -> dict[int, float]:
    """Share of each machine in all labelled rows' weight; they sum to one.

    Parameters
    ----------
    ids : ndarray of shape (n_labelled,), int64
        Machine of each labelled row: positive for sources, negative for targets.
    target_share : float
        Of all targets together, where there are labelled rows of both; the sources share the rest equally.
    """
    present = [int(number) for number in np.unique(ids)]
    sources, targets = [d for d in present if d > 0], [d for d in present if d < 0]
    of_target = 0.0 if not targets else 1.0 if not sources else target_share
    return {d: (1 - of_target) / len(sources) for d in sources} | {d: of_target / len(targets) for d in targets}


def share_weights(ids: np.ndarray, weight: np.ndarray, target_share: float) -> np.ndarray:
    """Weights of mean one, of which each machine has its share; ratios within a machine stay as they are."""
    weight = weight.astype(np.float64)
    for domain, share in domain_shares(ids, target_share).items():
        own = ids == domain
        total = weight[own].sum()
        weight[own] *= share * len(weight) / total if total > 0 else 0.0
    return weight


def labelled_part(y: Any, labelled: np.ndarray) -> np.ndarray:
    """Labels of the rows that have one, in the kind that they have without the marks of the others.

    Parameters
    ----------
    y : array-like of shape (n_rows,) or (n_rows, n_outputs)
    labelled : ndarray of bool of shape (n_rows,)
    """
    import pandas as pd

    values = y if isinstance(y, np.ndarray) else pd.Series(y).to_numpy() if np.ndim(y) == 1 else np.asarray(y)
    values = values[labelled]
    if values.dtype == object and values.ndim == 1:
        inferred = pd.Series(values.tolist()).infer_objects().to_numpy()
        values = inferred if inferred.dtype.kind in "iufb" else values
    return values
