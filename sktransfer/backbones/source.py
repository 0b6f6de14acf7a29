"""What a backbone remembers of its source task: statistics of its features, and the source head."""

from __future__ import annotations

import dataclasses

import numpy as np

from sktransfer.utils.counted_nouns import counted


@dataclasses.dataclass(frozen=True)
class Source:
    """What a backbone remembers of its source task.

    Parameters
    ----------
    feature_mean, feature_scale : ndarray of shape (n_features_out,)
        Mean and standard deviation of each feature, on the rows of the last fit that had enough rows to measure them.
    weight, bias : ndarray of shape (n_outputs, n_features_out) and (n_outputs,), or None
        The source head, acting on features standardised by these statistics.
    classes : ndarray of shape (n_outputs,) or None
        Classes of the source head, in the order of its rows; None for a regression.
    """

    feature_mean: np.ndarray
    feature_scale: np.ndarray
    weight: np.ndarray | None = None
    bias: np.ndarray | None = None
    classes: np.ndarray | None = None

    def __repr__(self) -> str:
        head = "no head"
        if self.weight is not None:
            names = None if self.classes is None else [str(name) for name in self.classes[:3]]
            more = "" if self.classes is None or len(self.classes) <= 3 else ", ..."
            n = len(self.weight)
            head = (
                f"{counted(n, 'value')}"
                if names is None
                else f"{counted(n, 'class', 'classes')}: {', '.join(names)}{more}"
            )
        return f"Source({counted(len(self.feature_mean), 'feature')}, {head})"

    def check(self, n_features_out: int) -> None:
        """Raise a ValueError if the shapes do not fit features of this width."""
        expected: dict[str, tuple[int, ...]] = {"feature_mean": (n_features_out,), "feature_scale": (n_features_out,)}
        if self.weight is not None:
            expected |= {"weight": (len(self.weight), n_features_out), "bias": (len(self.weight),)}
            if self.classes is not None:
                expected["classes"] = (len(self.weight),)
        found = {name: np.shape(getattr(self, name)) for name in expected}
        if found != expected:
            raise ValueError(f"The source of a backbone has the shapes {found}; its features ask for {expected}.")

    def rescaled(self, mean: np.ndarray, scale: np.ndarray) -> Source:
        """The same head, giving the same outputs, on features standardised by `mean` and `scale`."""
        if self.weight is None or self.bias is None:
            return Source(mean, scale)
        raw = self.weight / self.feature_scale
        return Source(mean, scale, raw * scale, self.bias + raw @ (mean - self.feature_mean), self.classes)


def feature_statistics(features: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weighted mean and standard deviation of each feature.

    A feature that is almost constant on these rows gets a tenth of the median deviation. Divided by its own, it would
    dominate all others on a target where it does vary.
    """
    mean = np.average(features, axis=0, weights=weight)
    scale = np.sqrt(np.average((features - mean) ** 2, axis=0, weights=weight))
    moving = scale[scale > 1e-8]
    return mean, np.maximum(scale, 0.1 * (np.median(moving) if len(moving) else 10.0))
