"""What a fleet keeps of its machines: one row of each array a machine, and one for machines that were never seen."""

from __future__ import annotations

import copy
import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from sktransfer.backbones.inputs import Inputs
from sktransfer.preprocessing.baseline_scaler import BaselineScaler


@dataclass
class FleetArrays:
    """Heads and ranges; the last row of each array is for machines that were never seen.

    Parameters
    ----------
    coef : ndarray of shape (n_machines + 1, n_classes, n_features_out)
        On standardised features.
    intercept : ndarray of shape (n_machines + 1, n_classes)
        Minus infinity of a class that neither the machine nor the source knew.
    mean, scale : ndarray of shape (1, n_features_out) or (n_machines + 1, n_features_out)
        By which features are standardised.
    minimum, maximum : ndarray of shape (n_machines + 1, n_columns) or (n_machines + 1, n_channels)
        Range of what was seen.
    central : ndarray of bool of shape (n_machines + 1, n_classes)
        Classes that hold the middle of what was seen.
    """

    coef: np.ndarray
    intercept: np.ndarray
    mean: np.ndarray
    scale: np.ndarray
    minimum: np.ndarray
    maximum: np.ndarray
    central: np.ndarray

    def outputs(self, machine: int, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Outputs of the classes that `machine` knows, float64, and which classes these are."""
        known = np.isfinite(self.intercept[machine])
        of = machine if len(self.mean) > 1 else 0
        standardized = (features - self.mean[of]) / self.scale[of]
        found = standardized @ self.coef[machine, known].T + self.intercept[machine, known]
        return np.asarray(found, dtype=np.float64), known

    def outputs_of_each(self, features: np.ndarray) -> np.ndarray:
        """Outputs of one row of features for each machine, (n_machines + 1, n_classes), float64; -inf if not known."""
        standardized = (features - self.mean) / self.scale
        found = (self.coef @ standardized[:, :, None])[:, :, 0] + self.intercept
        return np.asarray(found, dtype=np.float64)

    def inputs_of(self, machine: int, inputs: Inputs) -> Inputs:
        """`inputs` with the range of `machine`."""
        return dataclasses.replace(inputs, minimum=self.minimum[machine], maximum=self.maximum[machine])

    def with_classes(self, where: np.ndarray, n_classes: int) -> FleetArrays:
        """The same among more classes, which no machine knows; `where` are the columns of the old ones."""
        n = len(self.coef)
        coef = np.zeros((n, n_classes, self.coef.shape[2]), self.coef.dtype)
        intercept = np.full((n, n_classes), -np.inf, self.intercept.dtype)
        central = np.zeros((n, n_classes), dtype=bool)
        coef[:, where], intercept[:, where], central[:, where] = self.coef, self.intercept, self.central
        return dataclasses.replace(self, coef=coef, intercept=intercept, central=central)

    def with_machines(self, other: FleetArrays, places: np.ndarray, known: np.ndarray) -> FleetArrays:
        """These machines and those of `other`, which take the place of those of the same name.

        Parameters
        ----------
        other : FleetArrays
            Of the same classes. Its row for unseen machines is left out.
        places : ndarray of int of shape (n_other,)
            Where they are among the machines, or before which machine they come.
        known : ndarray of bool of shape (n_other,)
            Whether there is a machine of that name.
        """

        def joined(mine: np.ndarray, theirs: np.ndarray) -> np.ndarray:
            found, theirs = mine.copy(), theirs[:-1]
            found[places[known]] = theirs[known]
            return np.insert(found, places[~known], theirs[~known], axis=0)

        shared = len(self.mean) == 1
        fields = {field.name for field in dataclasses.fields(self)} - ({"mean", "scale"} if shared else set())
        return dataclasses.replace(self, **{name: joined(getattr(self, name), getattr(other, name)) for name in fields})


# ---- baselines


def joined_baselines(mine: BaselineScaler, theirs: BaselineScaler) -> BaselineScaler:
    """A scaler of the machines of both; those of `theirs` take the place of those of the same name."""
    kept = ~np.isin(mine.domains_, theirs.domains_)
    domains = np.concatenate([mine.domains_[kept], theirs.domains_])
    order = np.argsort(domains, kind="stable")
    joined = copy.copy(mine)
    joined.domains_ = domains[order]
    for name in ("center_", "scale_", "n_normal_", "resting_value_", "whitening_"):
        if getattr(mine, name) is not None:
            setattr(joined, name, np.concatenate([getattr(mine, name)[kept], getattr(theirs, name)])[order])
    joined.typical_run_ = np.maximum(mine.typical_run_, theirs.typical_run_)
    joined.lowest_, joined.highest_ = np.fmin(mine.lowest_, theirs.lowest_), np.fmax(mine.highest_, theirs.highest_)
    return joined


def typical_baseline(scaler: BaselineScaler) -> BaselineScaler:
    """For a machine that was never seen: median centre and scale of the machines."""
    typical: Any = copy.copy(scaler)
    typical.domains_, typical.target_domain = np.array([0]), None
    for name in ("center_", "scale_", "whitening_"):
        if (values := getattr(scaler, name)) is not None:
            setattr(typical, name, np.median(values, axis=0)[None])
    typical.resting_value_ = np.full((1, scaler.center_.shape[1]), np.nan)
    return typical
