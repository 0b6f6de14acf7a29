r"""TagT2: Hotelling's T2 of each tag by itself, and their mean."""

from __future__ import annotations

import numpy as np

from sktransfer.detection.statistic import HealthyStatistic, shrunk_factor


class TagT2(HealthyStatistic):
    r"""Mean over the tags of Hotelling's T2 of the tag's own columns, each divided by its healthy mean.

    What several tags do together is not looked at, so that few healthy rows are enough for many tags, and a fault of a
    tag is told from none of another.

    Parameters
    ----------
    power : float, default=1.0
        The tags' statistics are combined by a power mean: 1 is the mean, larger ones look at the worst tags.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer import TagT2
    >>> healthy = np.random.default_rng(0).normal(size=(500, 6))
    >>> statistic = TagT2().fit(healthy, n_tags=3)
    >>> parts = statistic.contributions(np.array([[0, 0, 5.0, 0, 0, 0]]))
    >>> int(parts.reshape(3, 2).sum(axis=1).argmax())
    1
    """

    def __init__(self, power=1.0):
        self.power = power

    def _fit(self, Z: np.ndarray) -> None:
        self.factors_ = np.stack([shrunk_factor(part) for part in self._by_tag(Z).swapaxes(0, 1)])
        healthy = self._t2(self._by_tag(Z)).mean(axis=0)
        self.healthy_t2_ = np.maximum(healthy, np.finfo(np.float64).tiny ** 0.5)

    def _by_tag(self, Z: np.ndarray) -> np.ndarray:
        return Z.reshape(len(Z), self.n_tags_, -1)

    def _t2(self, by_tag: np.ndarray) -> np.ndarray:
        """Of each row and tag."""
        return np.asarray(np.square(np.einsum("ntd,tde->nte", by_tag, self.factors_)).sum(axis=2))

    def _distance(self, Z: np.ndarray) -> np.ndarray:
        return self._combined(self._t2(self._by_tag(Z)) / self.healthy_t2_)[0]

    def _combined(self, relative: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Power mean over the tags of each row, and each tag's share in it."""
        worst = np.maximum(relative.max(axis=1, keepdims=True), np.finfo(np.float64).tiny)
        powers = (relative / worst) ** self.power
        total = worst[:, 0] * powers.mean(axis=1) ** (1 / self.power)
        return total, powers / powers.sum(axis=1, keepdims=True)

    def _parts(self, Z: np.ndarray) -> np.ndarray:
        by_tag = self._by_tag(Z)
        whitened = np.einsum("ntd,tde->nte", by_tag, self.factors_)
        own = by_tag * np.einsum("nte,tde->ntd", whitened, self.factors_)
        relative = np.square(whitened).sum(axis=2) / self.healthy_t2_
        total, share = self._combined(relative)
        t2 = np.maximum(np.square(whitened).sum(axis=2, keepdims=True), np.finfo(np.float64).tiny)
        return np.asarray((own / t2 * (share * total[:, None])[:, :, None]).reshape(len(Z), -1))
