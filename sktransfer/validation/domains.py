"""The check of `sample_domain`: the machine, mode or batch of each row, as in skada."""

from __future__ import annotations

from typing import Any

import numpy as np

from sktransfer.utils.masks import refuse_mask


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
