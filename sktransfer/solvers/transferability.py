"""How well frozen features explain labels, without training anything: three scores in closed form.

::

    features (n, d), labels --+--> ridge on class codes, each row (or group) left out --> accuracy or R2
                              +--> evidence of a Bayesian linear model -----------------> LogME
                              +--> spread of class means over spread of rows ----------> shrinkage H-score

All three work on the side of the rows, so that few rows with many features cost no more than few features.
"""

from __future__ import annotations

import numpy as np

from sktransfer.solvers.ridge import CLASS_ALPHAS, LeastSquares
from sktransfer.solvers.row_space import RowSpace

_RATIOS = np.logspace(-8, 8, 65)  # of the precisions of prior and noise, before the best is refined
_STEPS = 40  # of the refinement; each takes 0.62 of the bracket


def left_out_codes(
    features: np.ndarray, values: np.ndarray, weight: np.ndarray, groups: list[np.ndarray] | None = None
) -> np.ndarray:
    """Outputs of a ridge regression for each row, fitted without the row or without its group.

    The penalty is the one of the grid with the smallest weighted error of these outputs, one for all outputs.

    Parameters
    ----------
    features : ndarray of shape (n_samples, d)
        Standardised features, float64.
    values : ndarray of shape (n_samples, n_outputs)
        Class codes, or standardised numbers to predict.
    weight : ndarray of shape (n_samples,)
        Row weights, above zero.
    groups : list of ndarray, optional
        Row numbers of each group. None: each row by itself.

    Returns
    -------
    ndarray of shape (n_samples, n_outputs)

    References
    ----------
    Rifkin and Lippert (2007). Notes on regularized least squares. MIT-CSAIL-TR-2007-025.
    """
    problem = LeastSquares(RowSpace(features).rows, values, weight)
    best, least = values, np.inf
    for alpha in CLASS_ALPHAS:
        alpha = float(alpha)
        residual = problem.left_out(alpha) if groups is None else problem.left_out_groups(alpha, groups)
        if (error := float(np.sum(residual**2))) < least:
            best, least = values - residual / problem.root, error
    return best


def log_me(features: np.ndarray, values: np.ndarray) -> float:
    """Largest log evidence of a Bayesian linear model of each output, a row, and the mean over outputs.

    The model is ``y = F m + noise``, ``m ~ N(0, I / a)``, ``noise ~ N(0, 1 / b)``; of a ratio ``a / b`` the best ``b``
    is known in closed form, so that the evidence is maximised along one number.

    Parameters
    ----------
    features : ndarray of shape (n_samples, d)
        Float64; the model has no intercept, as published.
    values : ndarray of shape (n_samples, n_outputs)
        One column a class (1 in its rows, else 0), or numbers to predict.

    Returns
    -------
    float
        In nats a row; larger is better.

    References
    ----------
    You, Liu, Wang and Long (2021). LogME: practical assessment of pre-trained models for transfer learning. ICML,
    PMLR 139, 12133-12143. NOTE[DIFF]: found by a search along the ratio where the paper iterates a fixed point; both
    maximise the same evidence.
    """
    n_rows = len(features)
    spectrum, vectors = _row_spectrum(features)
    along = (vectors.T @ values) ** 2  # (r, n_outputs)
    beside = np.maximum((values**2).sum(axis=0) - along.sum(axis=0), 0.0)

    def evidence(ratio: np.ndarray) -> np.ndarray:
        """Of shape (n_ratios, n_outputs) for ratios of the same shape, or of shape (n_ratios, 1)."""
        gain = 1.0 + spectrum[:, None, None] / ratio  # (r, n_ratios, n_outputs or 1)
        noise = ((along[:, None, :] / gain).sum(axis=0) + beside) / n_rows
        noise = np.maximum(noise, np.finfo(float).tiny)
        return -0.5 * (np.log(2 * np.pi * noise) + 1.0) - 0.5 * np.log(gain).sum(axis=0) / n_rows

    ratios = _RATIOS * (spectrum.sum() / max(len(spectrum), 1) if len(spectrum) else 1.0)
    found = evidence(ratios[:, None])
    best = found.argmax(axis=0)
    low = np.log(ratios[np.maximum(best - 1, 0)])
    high = np.log(ratios[np.minimum(best + 1, len(ratios) - 1)])
    golden = (np.sqrt(5.0) - 1) / 2
    for _ in range(_STEPS):
        left, right = high - golden * (high - low), low + golden * (high - low)
        better = evidence(np.exp(np.stack([left, right])))
        high, low = np.where(better[0] >= better[1], right, high), np.where(better[0] >= better[1], low, left)
    return float(np.maximum(evidence(np.exp((low + high) / 2)[None])[0], found.max(axis=0)).mean())


def shrinkage_h_score(features: np.ndarray, codes: np.ndarray) -> float:
    """Trace of the inverse shrunk covariance of the features times the covariance of their class means.

    Parameters
    ----------
    features : ndarray of shape (n_samples, d)
        Float64.
    codes : ndarray of shape (n_samples,)
        Class numbers.

    Returns
    -------
    float
        From 0 to the number of classes less one; larger is better.

    References
    ----------
    Bao, Li, Huang, Zhang, Zheng, Zamir and Guibas (2019). An information-theoretic approach to transferability in task
    transfer learning. ICIP, 2309-2313. doi:10.1109/ICIP.2019.8803726.
    Ibrahim, Ponomareva and Mazumder (2022). Newer is not always better: rethinking transferability metrics, their
    peculiarities, stability and performance. ECML PKDD, 693-709. doi:10.1007/978-3-031-26387-3_42.
    """
    n_rows, n_features = features.shape
    centred = features - features.mean(axis=0)
    spectrum, vectors = _row_spectrum(centred)
    if not len(spectrum):
        return 0.0
    shrinkage, spherical = _ledoit_wolf((centred**2).sum(axis=1), spectrum, n_features)
    rows = vectors * np.sqrt(spectrum)  # the centred rows in their own directions
    between = np.zeros(len(spectrum))
    for code in np.unique(codes):
        of = codes == code
        between += np.mean(of) * rows[of].mean(axis=0) ** 2
    shrunk = (1 - shrinkage) * spectrum / n_rows + shrinkage * spherical
    return float((1 - shrinkage) * np.sum(between / shrunk))


def _row_spectrum(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Squared singular values above rounding errors, and their left singular vectors (n_samples, r)."""
    if rows.shape[0] <= rows.shape[1]:
        values, vectors = np.linalg.eigh(rows @ rows.T)
        keep = values > max(values[-1], 0.0) * 1e-12
        return values[keep], vectors[:, keep]
    values, vectors = np.linalg.eigh(rows.T @ rows)
    keep = values > max(values[-1], 0.0) * 1e-12
    return values[keep], rows @ vectors[:, keep] / np.sqrt(values[keep])


def _ledoit_wolf(lengths: np.ndarray, spectrum: np.ndarray, n_features: int) -> tuple[float, float]:
    """Shrinkage of Ledoit and Wolf (2004) and the mean variance, from squared lengths of rows and the spectrum."""
    n_rows = len(lengths)
    spherical = spectrum.sum() / n_rows / n_features
    off = (spectrum**2).sum() / n_rows**2 / n_features - spherical**2  # mean squared distance from the sphere
    noise = ((lengths**2).sum() / n_rows - (spectrum**2).sum() / n_rows**2) / n_rows / n_features
    return (0.0 if noise <= 0 or off <= 0 else float(min(noise, off) / off)), float(spherical)
