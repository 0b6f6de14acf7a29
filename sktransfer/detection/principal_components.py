r"""PrincipalComponents: T2 within the healthy rows' main directions, and Q across them."""

from __future__ import annotations

import numpy as np

from sktransfer.detection.statistic import HealthyStatistic, best_shifts


class PrincipalComponents(HealthyStatistic):
    r"""T2 + Q: how far a row lies along the main directions of the healthy rows, and how far off them.

    :math:`T^2 = \sum_{i \le k} t_i^2 / \lambda_i` over the scores on `k` principal components, and :math:`Q`, the
    squared distance from the plane of these. Each is divided by its mean over the healthy rows, and both are added (the
    combined index of Yue and Qin, with means in place of limits).

    Parameters
    ----------
    variance : float, default=0.9
        Share of the variance that the components explain, between 0 and 1.

    Attributes
    ----------
    n_components_ : int

    References
    ----------
    Jackson and Mudholkar (1979). Control procedures for residuals associated with principal component analysis.
    Technometrics 21, 341-349. doi:10.1080/00401706.1979.10489779.
    Yue and Qin (2001). Reconstruction-based fault identification using a combined index. Industrial & Engineering
    Chemistry Research 40, 4403-4414. doi:10.1021/ie000141+.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer import PrincipalComponents
    >>> t = np.random.default_rng(0).normal(size=(500, 1))
    >>> healthy = t * [1.0, 1.0] + np.random.default_rng(1).normal(size=(500, 2)) / 10
    >>> along, across = PrincipalComponents().fit(healthy).distance(np.array([[2.0, 2.0], [1.0, -1.0]]))
    >>> bool(across > 10 * along)
    True
    """

    def __init__(self, variance=0.9):
        self.variance = variance

    def _fit(self, Z: np.ndarray) -> None:
        from sklearn.decomposition import PCA

        pca = PCA(svd_solver="full").fit(Z)
        explained = np.cumsum(pca.explained_variance_ratio_)
        self.n_components_ = int(np.searchsorted(explained, min(self.variance, explained[-1])) + 1)
        self.n_components_ = min(self.n_components_, len(explained))
        self.components_ = pca.components_[: self.n_components_]
        self.variances_ = np.maximum(pca.explained_variance_[: self.n_components_], np.finfo(np.float64).tiny)
        self.n_healthy_ = len(Z)
        self.residual_variances_ = pca.explained_variance_[self.n_components_ :]
        t2, q = self.t2_and_q_of(Z)
        self.mean_t2_, self.mean_q_ = float(t2.mean()), float(q.mean())
        # where the plane holds all that the healthy rows do, any distance from it is unusual
        self.mean_q_ = max(self.mean_q_, 1e-6 * Z.shape[1])

    def t2_and_q(self, F: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Both statistics of each row, each of shape (n_rows,)."""
        return self.t2_and_q_of((F - self.mean_) / self.scale_)

    def t2_and_q_of(self, Z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """As :meth:`t2_and_q`, of standardised rows."""
        scores = Z @ self.components_.T
        residual = Z - scores @ self.components_
        return np.square(scores / np.sqrt(self.variances_)).sum(axis=1), np.square(residual).sum(axis=1)

    def limits(self, false_alarm_rate: float) -> tuple[float, float]:
        """Theoretical control limits of T2 (F distribution) and Q (Jackson and Mudholkar) for normal rows.

        They hold for rows that are independent and normally distributed, which those of a plant are not: a threshold
        that is calibrated on held-out healthy rows keeps what it promises, these often do not.
        """
        from scipy.stats import f, norm

        n, k = self.n_healthy_, self.n_components_
        t2 = k * (n**2 - 1) / (n * max(n - k, 1)) * float(f.ppf(1 - false_alarm_rate, k, max(n - k, 1)))
        theta1, theta2, theta3 = (float(np.sum(self.residual_variances_**power)) for power in (1, 2, 3))
        if theta1 <= 0:
            return t2, 0.0
        h0 = 1 - 2 * theta1 * theta3 / (3 * theta2**2)
        c = float(norm.ppf(1 - false_alarm_rate))
        inner = c * np.sqrt(2 * theta2 * h0**2) / theta1 + 1 + theta2 * h0 * (h0 - 1) / theta1**2
        return t2, float(theta1 * max(inner, 0.0) ** (1 / h0))

    def _distance(self, Z: np.ndarray) -> np.ndarray:
        t2, q = self.t2_and_q_of(Z)
        return np.asarray(t2 / self.mean_t2_ + q / self.mean_q_)

    def _parts(self, Z: np.ndarray) -> np.ndarray:
        scores = Z @ self.components_.T
        residual = Z - scores @ self.components_
        within = Z * ((scores / self.variances_) @ self.components_)
        return np.asarray(within / self.mean_t2_ + np.square(residual) / self.mean_q_)

    def _reconstructed(self, Z: np.ndarray) -> np.ndarray:
        along = self.components_.T @ self.components_
        within = (self.components_.T / self.variances_) @ self.components_
        return best_shifts(Z, within / self.mean_t2_ + (np.eye(len(along)) - along) / self.mean_q_)
