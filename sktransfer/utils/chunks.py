"""How many samples go through a network, or through a check, at once."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

CHUNK = 1024  # rows at once, so that their activations stay in the cache
# Bytes of windows at once: the outputs of a first convolution are several times as large.
CHUNK_BYTES = 2**19
_PART = 2**16  # numbers of a table or of windows that are checked or scaled together, so that they stay in the cache


def in_chunks(n_rows: int, chunk: int = CHUNK) -> Iterator[slice]:
    """Slices of at most `chunk` rows."""
    for start in range(0, n_rows, chunk):
        yield slice(start, min(start + chunk, n_rows))


def chunk_of(X: Any) -> int:
    """How many samples of an array or tensor go through a network at once: rows by number, windows by bytes."""
    if X.ndim == 2:
        return CHUNK
    n_values = max(1, prod(X.shape[1:]))
    return max(4, min(CHUNK_BYTES // (4 * n_values) // 4 * 4, CHUNK))


def in_parts(X: Any) -> Iterator[slice]:
    """Slices of a few rows or windows each, so that temporary arrays as large as these stay small."""
    return in_chunks(len(X), max(1, _PART // max(1, prod(X.shape[1:]))))
