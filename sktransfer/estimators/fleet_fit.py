"""From checked rows of many machines to the arrays of a fleet.

::

    rows, labels, machines --copies of a machine merged--> features, once --> heads (training/fleet_heads.py)
                                                                                  |
    classes a machine has no rows of <-- rows of the source head                  +--> FleetArrays
    machines without two classes     <-- source head, or mean of the heads -------+
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sktransfer.backbones.backbone import Backbone
from sktransfer.backbones.source import Source
from sktransfer.estimators.fleet_arrays import FleetArrays
from sktransfer.exceptions import SourceClassWarning
from sktransfer.inference.out_of_range import central_classes
from sktransfer.inference.predictor import features as run_features
from sktransfer.solvers.laplace import softmax
from sktransfer.strategies.base import HeadSolver
from sktransfer.training.fleet_heads import Fit, HeadPlan, MachineHead, Shared, frozen_features
from sktransfer.training.rows import TrainingRows, class_distances, merge_copies
from sktransfer.training.source_match import plain, source_names
from sktransfer.utils.counted_warnings import listed, warn_caller


@dataclass(frozen=True)
class FleetRows:
    """Checked rows of some machines.

    Parameters
    ----------
    X : ndarray of shape (n_samples, ...)
        As the first block takes them.
    labelled : ndarray of bool of shape (n_samples,)
    y : ndarray of shape (n_labelled,)
    machines : ndarray of int of shape (n_samples,)
        Number of each row's machine.
    n_machines : int
    classes : ndarray of shape (n_classes,)
        Of the fleet, sorted.
    """

    X: np.ndarray
    labelled: np.ndarray
    y: np.ndarray
    machines: np.ndarray
    n_machines: int
    classes: np.ndarray


_SEVERAL = 2  # heads whose mean says more of another machine than the source head does


class FleetFit:
    """One fit of some machines of a fleet.

    Parameters
    ----------
    name : str
        Of the estimator, for messages.
    backbone : Backbone
    untrained : bool
        Whether its weights are random.
    head : LinearHead
    solver : HeadSolver
    device, n_jobs
        Of the estimator.

    Attributes
    ----------
    arrays : FleetArrays
    own : ndarray of bool of shape (n_machines,)
        Machines whose head was solved.
    n_labels : ndarray of shape (n_machines, n_classes)
    fallback : {"source", "mean"}
    shared : Shared or None
        What was chosen for all machines.
    """

    arrays: FleetArrays
    own: np.ndarray
    n_labels: np.ndarray
    fallback: str

    shared: Shared | None

    def __init__(
        self, name: str, backbone: Backbone, untrained: bool, head: Any, solver: HeadSolver, device: Any, n_jobs: Any
    ):
        self._name, self._backbone, self._untrained, self._head = name, backbone, untrained, head
        self._solver, self._device, self._n_jobs = solver, device, n_jobs
        self._source_names: list[Any] | None = None

    def run(self, given: FleetRows, before: FleetArrays | None, shared: Shared | bool) -> None:
        """Fit the heads and set the attributes.

        Parameters
        ----------
        given : FleetRows
        before : FleetArrays or None
            Of an earlier fit, whose last row is the fallback.
        shared : Shared or bool
            What an earlier fit chose for all machines, or whether this one shall.

        Raises
        ------
        ValueError
            If nothing answers for a machine without two classes.
        """
        fits, taught = self._grouped(given)
        plan = HeadPlan(self._backbone, self._untrained, self._head, self._solver, given.X.dtype)
        if isinstance(shared, bool):
            self.shared = plan.choose(fits, given.classes) if shared and fits else None
        else:
            self.shared = shared
        heads = plan.solve(fits, self.shared)
        self._warn_of_matches(heads, given.n_machines)
        own = np.flatnonzero(self.own)
        self.arrays = self._arrays(given, before, own, heads, taught)
        self._set_ranges(given.X, given.machines, own, fits)
        self._set_central(own, fits, taught)

    def _grouped(self, given: FleetRows) -> tuple[list[Fit], list[np.ndarray]]:
        """Of each machine with a head of its own what it is fitted to, and the numbers of its classes."""
        codes = np.stack([given.machines[given.labelled], np.searchsorted(given.classes, given.y)], axis=1)
        merged = merge_copies(given.X[given.labelled], codes, np.ones(len(codes)))
        order = np.argsort(merged.y[:, 0], kind="stable")  # of a machine they stay in the order of a fit alone
        X, y, weight = merged.X[order], merged.y[order], merged.weight[order]
        edges = np.searchsorted(y[:, 0], np.arange(given.n_machines + 1))
        self.n_labels = np.zeros((given.n_machines, len(given.classes)), dtype=np.int64)
        np.add.at(self.n_labels, (codes[:, 0], codes[:, 1]), 1)
        self.own = ((self.n_labels > 0).sum(axis=1) >= 2) & (np.diff(edges) >= 2)
        F = frozen_features(self._backbone, X, self._device)
        fits: list[Fit] = []
        taught = []
        for k in np.flatnonzero(self.own):
            part = slice(edges[k], edges[k + 1])
            present, local = np.unique(y[part, 1], return_inverse=True)
            taught.append(present)
            fits.append((given.classes[present], F[part], TrainingRows(X[part], local, weight[part])))
        return fits, taught

    # ---- heads

    def _arrays(
        self,
        given: FleetRows,
        before: FleetArrays | None,
        own: np.ndarray,
        heads: list[MachineHead],
        taught: list[np.ndarray],
    ) -> FleetArrays:
        """Arrays of all machines, with the fallback where there is no head; ranges are set later."""
        classes, dtype = given.classes, given.X.dtype
        n, width = given.n_machines + 1, self._backbone.n_features_out
        coef, intercept = np.zeros((n, len(classes), width), dtype), np.full((n, len(classes)), -np.inf, dtype)
        mean, scale = np.zeros((n, width), dtype), np.ones((n, width), dtype)
        names = [plain(name) for name in classes]
        for k, head, present in zip(own, heads, taught, strict=True):
            self._keep_source_rows(coef[k], intercept[k], names, present, head)
            coef[k, present], intercept[k, present] = head.weight, head.bias
            mean[k], scale[k] = head.mean, head.scale
        others = np.flatnonzero(~np.r_[self.own, False])
        fallback = self._fallback(coef[own], intercept[own], mean[own], scale[own], classes, before)
        coef[others], intercept[others], mean[others], scale[others] = fallback
        shared = (mean == mean[-1]).all() and (scale == scale[-1]).all() if before is None else len(before.mean) == 1
        if shared:
            mean, scale = mean[-1:].copy(), scale[-1:].copy()
        none = np.zeros((n, 0), dtype)
        return FleetArrays(coef, intercept, mean, scale, none, none, np.zeros((n, len(classes)), dtype=bool))

    def _keep_source_rows(
        self, coef: np.ndarray, intercept: np.ndarray, names: list[Any], present: np.ndarray, head: MachineHead
    ) -> None:
        """Rows of the source head for classes of its names, where all classes of the machine began at theirs."""
        if head.source is None:
            return
        of_source = self._names_of(head.source)
        began = [of_source[row] if row >= 0 else None for row in head.match.rows.tolist()]
        if began != [names[place] for place in present]:
            return
        places = [place for place, name in enumerate(names) if name in of_source]
        rows = [of_source.index(names[place]) for place in places]
        coef[places] = np.asarray(head.source.weight)[rows] / head.temperature
        intercept[places] = np.asarray(head.source.bias)[rows] / head.temperature

    def _names_of(self, source: Source) -> list[Any]:
        """Names of the rows of a source head; all heads of a fleet have those of its backbone."""
        if self._source_names is None:
            self._source_names = source_names(source)
        return self._source_names

    def _fallback(
        self,
        coef: np.ndarray,
        intercept: np.ndarray,
        mean: np.ndarray,
        scale: np.ndarray,
        classes: np.ndarray,
        before: FleetArrays | None,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Head of machines without labels of two classes: of `before`, the mean of several, or the source head."""
        if before is not None:
            return before.coef[-1], before.intercept[-1], before.mean[-1], before.scale[-1]
        source = self._source_of(classes) if len(coef) < _SEVERAL else None
        if source is not None and source.weight is not None and source.bias is not None:
            names = source_names(source)
            rows = np.array([names.index(plain(one)) if plain(one) in names else -1 for one in classes])
            weight, bias = source.weight[rows], np.where(rows >= 0, source.bias[rows], -np.inf)
            self.fallback = "source"
            return weight, bias, source.feature_mean, source.feature_scale
        self.fallback = "mean"
        if not len(coef):
            n = int(self.n_labels.sum())
            raise ValueError(
                f"{self._name} needs two different rows with labels of at least two classes on one machine, so "
                f"at least 2 rows, or a backbone whose source head knows the classes. y holds {len(classes)} class"
                f"{'' if len(classes) == 1 else 'es'}: {classes.tolist()[:10]}, in {n} sample"
                f"{'' if n == 1 else 's'} of {len(self.own)} machine{'' if len(self.own) == 1 else 's'}."
            )
        knows = np.isfinite(intercept)
        count = np.maximum(knows.sum(axis=0), 1)
        bias = np.where(knows.any(axis=0), np.where(knows, intercept, 0.0).sum(axis=0) / count, -np.inf)
        return coef.sum(axis=0) / count[:, None], bias, _mean_row(mean), _mean_row(scale)

    def _source_of(self, classes: np.ndarray) -> Source | None:
        """The source, if its head knows all classes by name."""
        source = self._backbone.source
        names = source_names(source)
        known = [plain(one) in names for one in classes]
        return source if len(classes) and names and all(known) else None

    def _warn_of_matches(self, heads: list[MachineHead], n_machines: int) -> None:
        better = sum(head.match.better is not None for head in heads)
        strange = sorted({str(one) for head in heads for one in head.match.strange})
        if better:
            warn_caller(
                f"{self._name}: on {better} of {n_machines} machines the rows agree with other classes of the source "
                "head than those of the same names, or those stated. Check the labels of these machines.",
                SourceClassWarning,
            )
        if strange:
            warn_caller(
                f"{self._name}: LinearHead(source_classes=...) names classes ({listed(strange)}) that some machines do "
                "not have, while they have others that it leaves out. Check the names; None says that one is new.",
                SourceClassWarning,
            )

    # ---- ranges

    def _set_ranges(self, rows: np.ndarray, machines: np.ndarray, own: np.ndarray, fits: list[Any]) -> None:
        """Of each machine the range of its labelled rows, or of all, and of the source; the last is of all."""
        other, inputs = (0, *range(2, rows.ndim)), self._backbone.inputs
        n, width = len(self.own) + 1, rows.shape[1]
        low, high = np.empty((n, width), rows.dtype), np.empty((n, width), rows.dtype)
        for k, (_, _, some) in zip(own, fits, strict=True):
            low[k], high[k] = some.X.min(axis=other), some.X.max(axis=other)
        for k in np.flatnonzero(~self.own):
            some = rows[machines == k]
            low[k], high[k] = some.min(axis=other), some.max(axis=other)
        low[-1], high[-1] = low[:-1].min(axis=0), high[:-1].max(axis=0)
        if inputs.minimum is not None and inputs.maximum is not None and len(inputs.minimum) == width:
            low, high = np.minimum(low, inputs.minimum), np.maximum(high, inputs.maximum)
        self.arrays.minimum, self.arrays.maximum = low.astype(rows.dtype), high.astype(rows.dtype)

    def _set_central(self, own: np.ndarray, fits: list[Any], taught: list[np.ndarray]) -> None:
        """Of each machine the classes in the middle of what was seen."""
        arrays, backbone = self.arrays, self._backbone
        low, high = arrays.minimum, arrays.maximum
        centers = np.where((low <= 0) & (high >= 0), 0.0, (low.astype(np.float64) + high) / 2)
        F = None
        if backbone.n_dimensions == 2:
            middle = centers.astype(arrays.coef.dtype)
            F = run_features(backbone, middle, len(backbone.blocks), self._device, self._n_jobs, lambda chunk: chunk)
        distances = np.full(arrays.central.shape, np.inf)
        for k, (_, _, some), present in zip(own, fits, taught, strict=True):
            distances[k, present] = class_distances(some, len(present), centers[k])
        known = np.isfinite(arrays.intercept)
        probabilities = None if F is None else softmax(arrays.outputs_of_each(F.reshape(len(centers), -1)))
        for k in range(len(arrays.coef)):
            at = None if probabilities is None else probabilities[k, known[k]]
            arrays.central[k, known[k]] = central_classes(at, distances[k, known[k]], int(known[k].sum()))


def _mean_row(rows: np.ndarray) -> np.ndarray:
    """Mean of rows; of equal ones that row, to the last bit, so that it is stored once."""
    return rows[0] if (rows == rows[0]).all() else rows.mean(axis=0)
