"""Which machine each row is of, and the baseline that it stands behind."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import _num_samples

from sktransfer.estimators.fleet_arrays import typical_baseline
from sktransfer.utils.counted_nouns import counted
from sktransfer.utils.counted_warnings import listed, warn_caller
from sktransfer.validation.domains import domain_names


class FleetMachines:
    """Mixin of :class:`sktransfer.FleetClassifier`: names of machines, and rows behind their baselines."""

    machine: Any
    machines_: np.ndarray
    baseline_: Any
    fallback_: str

    def _fallback_words(self) -> str:
        return "the source head" if self.fallback_ == "source" else "the mean head of the fleet"

    def _named(self, X: Any, sample_domain: Any, *, reset: bool) -> tuple[Any, np.ndarray]:
        """`X` without the column of machines, and the machine of each row; zeros without names."""
        name = type(self).__name__
        if self.machine is not None:
            columns = list(getattr(X, "columns", []))
            if sample_domain is not None or self.machine not in columns:
                what = f"X with the columns {columns[:10]}" if sample_domain is None else "sample_domain as well"
                raise ValueError(
                    f"{name}(machine={self.machine!r}) takes a frame with that column, and got {what}. Pass such a "
                    "frame, or leave machine=None and pass sample_domain."
                )
            sample_domain = np.asarray(X[self.machine])
            X = X[[column for column in columns if column != self.machine]]
        names = domain_names(sample_domain, _num_samples(X))
        if not reset and sample_domain is not None and names.dtype.kind != self.machines_.dtype.kind:
            raise ValueError(
                f"{name} knows its machines by {self.machines_[:3].tolist()}, and got {names[:3].tolist()}. Name them "
                "in the same kind, numbers or texts."
            )
        return X, names

    def _which(self, names: np.ndarray, n_rows: int) -> np.ndarray:
        """Place of each row's machine; n_machines for one never seen."""
        name, n_machines = type(self).__name__, len(self.machines_)
        if are_unnamed(names):
            negative = np.flatnonzero(self.machines_ < 0) if self.machines_.dtype.kind == "i" else np.array([])
            only = np.array([0]) if n_machines == 1 else negative
            if len(only) != 1:
                raise ValueError(
                    f"{name} knows {n_machines} machines and got rows without names. Pass sample_domain=..., or name "
                    "the column of a frame by machine=...; a search hands sample_domain to its scorer where "
                    "sklearn.set_config(enable_metadata_routing=True)."
                )
            return np.full(n_rows, only[0])
        which = np.minimum(np.searchsorted(self.machines_, names), n_machines - 1)
        unseen = self.machines_[which] != names
        if unseen.any():
            new = np.unique(names[unseen])
            warn_caller(
                f"{name}: {int(unseen.sum())} of {n_rows} rows are of {counted(len(new), 'machine')} that "
                f"{'was' if len(new) == 1 else 'were'} never seen ({listed(new.tolist())}); "
                f"{self._fallback_words()} answers for them"
                + ("" if self.baseline_ is None else ", behind the median baseline of the fleet")
                + ". Fit them by partial_fit."
            )
        return np.where(unseen, n_machines, which)

    def _scaled(self, X: Any, names: np.ndarray, which: np.ndarray) -> Any:
        """`X` behind the baseline of each machine."""
        if self.baseline_ is None:
            return X
        scaler, known = self.baseline_, which < len(self.machines_)
        if known.all():
            return scaler.transform(X, sample_domain=None if len(self.machines_) == 1 else self.machines_[which])
        frame = hasattr(X, "iloc")
        out = np.asarray(typical_baseline(scaler).transform(X)).copy()
        if known.any():
            some = X.iloc[np.flatnonzero(known)] if frame else np.asarray(X)[known]
            out[known] = scaler.transform(some, sample_domain=names[known])
        return out


def are_unnamed(names: np.ndarray) -> bool:
    """Whether the caller named no machine: :func:`domain_names` returns zeros then."""
    return names.dtype.kind == "i" and not names.any()
