r"""ModelMachines: which machines a fitted model tells apart, and how it is asked about rows of theirs.

::

    column of machines, as text --> numbers, where fit had numbers --> sample_domain of each step that takes it
                                                                  \--> or the column that a fleet reads from its frame
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")  # that an int64 holds


class ModelMachines:
    """The machines of a model; of an :class:`~sktransfer.OnnxModel` none.

    Parameters
    ----------
    model : fitted estimator or OnnxModel

    Attributes
    ----------
    known : ndarray or None
        Names or numbers that fit saw; None: the model does not tell machines apart.
    column : object
        Column of the frame that the model reads them from; None: it takes ``sample_domain``.
    answers_others : bool
        Whether it answers for machines that fit did not see, as a fleet does.
    is_needed : bool
        Whether it cannot answer for rows whose machine is not named.
    """

    def __init__(self, model: Any):
        self.known: np.ndarray | None = None
        self.column: Any = None
        self.answers_others, self.is_needed = True, False
        self._model, self._inner = model, model
        if hasattr(model, "manifest_"):
            return
        from sktransfer.estimators.domain_steps import takes_domain

        while hasattr(self._inner, "best_estimator_"):  # predict of a search hands no domain on
            self._inner = self._inner.best_estimator_
        for step in [one for _, one in self._inner.steps] if hasattr(self._inner, "steps") else [self._inner]:
            is_fleet = hasattr(step, "machines_") and takes_domain(step, "predict")
            if is_fleet or (hasattr(step, "domains_") and takes_domain(step, "transform")):
                self._add(step, is_fleet)

    def _add(self, step: Any, is_fleet: bool) -> None:
        names = np.asarray(step.machines_ if is_fleet else step.domains_)
        if names.tolist() == [0]:  # fitted without names
            return
        self.known = names if self.known is None else np.intersect1d(self.known, names)
        self.answers_others &= is_fleet
        if is_fleet and step.machine is not None:
            self.column, self.is_needed = step.machine, True
        n_targets = int((names < 0).sum()) if names.dtype.kind == "i" else 0
        self.is_needed |= len(names) > 1 and n_targets != 1 and getattr(step, "target_domain", None) is None

    def named(self, texts: Any) -> tuple[np.ndarray, np.ndarray]:
        """Machines of a column of text as fit knew them, and of which of them the model says something.

        Raises
        ------
        ValueError
            If fit knew numbers, and the column holds something else.
        """
        known = np.asarray([]) if self.known is None else self.known
        names = np.asarray(texts).astype(str)
        if known.dtype.kind == "i":
            wrong = sorted({text for text in names.tolist() if not _WHOLE.fullmatch(text)})
            if wrong:
                raise ValueError(
                    f"the model knows its machines by numbers, {known[:5].tolist()}, and the column of machines "
                    f"holds {wrong[:5]}. Write the numbers that fit had."
                )
            names = names.astype(np.int64)
        return names, np.full(len(names), True) if self.answers_others else np.isin(names, known)

    def ask(self, method: str, X: Any, names: np.ndarray | None) -> Any:
        """What `method` of the model says of rows of these machines; None: the caller named none."""
        if names is None:
            return getattr(self._model, method)(X)
        if self.column is not None:
            return getattr(self._inner, method)(X.assign(**{self.column: names}))
        if hasattr(self._inner, "steps"):
            from sktransfer.estimators.domain_steps import through_steps

            return through_steps(self._inner, method, X, names)
        return getattr(self._inner, method)(X, sample_domain=names)
