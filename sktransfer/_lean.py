"""Networks of known layers, computed in numpy: what prediction on the CPU needs, and no torch.

::

    layers and arrays --fold--> (weight, bias) activation (weight, bias) activation ...   normalisation is in the weights
    rows --chunks--> x @ weight + bias --> activation --> ... --> outputs

numpy's BLAS and torch's need the same time for the products, so that what is saved is all around them: a second of
import, and some hundred microseconds a call.

Rows get the same result alone and among others. BLAS has several kernels, which round differently: which of them a row
meets depends on how many rows there are. With a multiple of `_ROWS` rows and at least `_WIDE` outputs OpenBLAS takes one
and the same for all of them (measured for its x86 kernels; a test does it again). Narrower layers are computed in
float64, where the difference is far below what a float32 can show.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from sktransfer._layers import Layer

CHUNK = 960  # rows at once: a multiple of _ROWS whose activations stay in the cache
FEW_ROWS = 4  # up to which BLAS uses one thread at these widths, and capping its threads would take longer
_ROWS = 12
_WIDE = 101  # with 12 rows more than the 1,200 outputs up to which OpenBLAS takes its kernels for small matrices


def in_chunks(n_rows: int) -> Iterator[slice]:
    """Slices of at most `CHUNK` rows."""
    for start in range(0, n_rows, CHUNK):
        yield slice(start, min(start + CHUNK, n_rows))


class Program:
    """The layers of a network as products and activations.

    Parameters
    ----------
    parts : sequence of (layers, arrays)
        Blocks in order, and the head, with the arrays that their layers name.
    """

    def __init__(self, parts: Sequence[tuple[Sequence[Layer], Mapping[str, np.ndarray]]]):
        steps = [step for layers, arrays in parts for layer in layers for step in _step(layer, arrays)]
        self._steps = [_finish(step) for step in _fold(steps)]

    def run(self, rows: np.ndarray) -> np.ndarray:
        """Outputs for one chunk of float32 rows, float32 or float64; overflow is left to the caller to find."""
        n_rows, x = len(rows), rows
        filled = None  # the array of which x is the first rows; zeros below them stay zeros
        for kind, first, second in self._steps:
            if kind == "wide":
                filled = np.matmul(_filled(x) if filled is None else filled, first)
                x = filled[:n_rows]
                x += second
                continue
            if kind == "call" and x is not rows:
                first(x, **second)  # in place
                continue
            filled = None
            if kind == "narrow":
                x = np.matmul(x.astype(np.float64), first)
                x += second
            elif kind == "scale":
                x = x * first + second
            else:
                x = first(rows.copy(), **second)
        return x


def _filled(x: np.ndarray) -> np.ndarray:
    """`x` as float32 with zero rows up to a multiple of `_ROWS`."""
    n_rows = len(x)
    if n_rows % _ROWS == 0:
        return np.ascontiguousarray(x, dtype=np.float32)
    filled = np.zeros((n_rows + _ROWS - n_rows % _ROWS, x.shape[1]), dtype=np.float32)
    filled[:n_rows] = x
    return filled


# ---- from layers to steps: ("linear", weight, bias), ("scale", factor, offset) or ("call", function, arguments)

_Step = tuple[str, Any, Any]


def _step(layer: Layer, arrays: Mapping[str, np.ndarray]) -> list[_Step]:
    def array(name: str) -> np.ndarray:
        return np.asarray(arrays[layer.key + name], dtype=np.float64)

    if layer.kind == "Linear":
        weight = array("weight").T
        return [("linear", weight, array("bias") if layer.arguments["bias"] else np.zeros(weight.shape[1]))]
    if layer.kind == "Standardize":
        return [("scale", 1 / array("scale"), -array("mean") / array("scale"))]
    if layer.kind == "BatchNorm1d":
        factor = 1 / np.sqrt(array("running_var") + layer.arguments["eps"])
        offset = 0.0
        if layer.arguments["affine"]:
            factor, offset = factor * array("weight"), array("bias")
        return [("scale", factor, offset - array("running_mean") * factor)]
    if layer.kind in ("Dropout", "Identity"):
        return []
    return [("call", _ACTIVATIONS[layer.kind], layer.arguments)]


def _fold(steps: Sequence[_Step]) -> list[_Step]:
    """Scaling joins the product before it, or else the one after it."""
    folded: list[_Step] = []
    for step in steps:
        kind, first, second = step
        before = folded[-1] if folded else ("", None, None)
        if kind == "scale" and before[0] in ("linear", "scale"):
            folded[-1] = (before[0], before[1] * first, before[2] * first + second)
        elif kind == "linear" and before[0] == "scale":
            folded[-1] = ("linear", before[1][:, None] * first, before[2] @ first + second)
        else:
            folded.append(step)
    return folded


def _finish(step: _Step) -> _Step:
    kind, first, second = step
    if kind == "call":
        return step
    if kind == "scale":
        return kind, first.astype(np.float32), second.astype(np.float32)
    if first.shape[1] < _WIDE:
        return "narrow", np.ascontiguousarray(first), second
    # in Fortran order, in which OpenBLAS keeps its kernels for small matrices to small outputs
    return "wide", np.asarray(first, dtype=np.float32, order="F"), second.astype(np.float32)


# ---- activations, in place


def _relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0, out=x)


def _leaky_relu(x: np.ndarray, negative_slope: float) -> np.ndarray:
    return np.multiply(x, x.dtype.type(negative_slope), out=x, where=x < 0)


def _elu(x: np.ndarray, alpha: float) -> np.ndarray:
    below = x < 0
    np.expm1(x, out=x, where=below)
    return np.multiply(x, x.dtype.type(alpha), out=x, where=below)


def _gelu(x: np.ndarray, approximate: str) -> np.ndarray:
    from scipy.special import erf

    if approximate == "tanh":
        inner = np.tanh(x.dtype.type(np.sqrt(2 / np.pi)) * (x + x.dtype.type(0.044715) * x * x * x))
    else:
        inner = erf(x * x.dtype.type(np.sqrt(0.5)))
    inner += 1
    inner *= x.dtype.type(0.5)
    return np.multiply(x, inner, out=x)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    from scipy.special import expit

    return expit(x, out=x)


def _silu(x: np.ndarray) -> np.ndarray:
    from scipy.special import expit

    return np.multiply(x, expit(x), out=x)


def _softplus(x: np.ndarray, beta: float, threshold: float) -> np.ndarray:
    beta = x.dtype.type(beta)
    scaled = x * beta
    return np.divide(np.logaddexp(x.dtype.type(0), scaled), beta, out=x, where=scaled <= threshold)


_ACTIVATIONS: dict[str, Callable[..., np.ndarray]] = {
    "ReLU": _relu,
    "LeakyReLU": _leaky_relu,
    "ELU": _elu,
    "GELU": _gelu,
    "SiLU": _silu,
    "Tanh": lambda x: np.tanh(x, out=x),
    "Sigmoid": _sigmoid,
    "Softplus": _softplus,
}
