"""Networks of known layers, computed in numpy: what prediction on the CPU needs, and no torch.

::

    layers and arrays --fold--> (weight, bias) activation (weight, bias) ...     normalisation is in the weights
    rows --chunks--> x @ weight + bias --> activation --> ... --> outputs

The matrix products cost the same as in torch. What is saved is torch's import (1 s) and the overhead of its calls (some
hundred microseconds).

Few rows are computed in float64. BLAS has several kernels that round differently. Which of them computes a row depends
on the number of rows and on the position of the row among them. In float64 the difference is of the order of 1e-15, so
that a row gets the same result alone and among others. A single row takes less time than in float32 with torch. Many
rows are computed in float32, as torch does, in half the time of float64.

Many rows go through all layers some hundred at a time, so that their activations stay in the cache of the core, and in
memory that the allocator keeps: arrays of half a megabyte are given back to the system after each product and cleared
by it before the next. A bias before a ReLU is moved behind it, ``max(x + b, 0) = max(x, -b) + b``, and there into the
bias of the next product, which saves a pass over the activations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from sktransfer.networks.layers import Layer
from sktransfer.utils.chunks import in_chunks
from sktransfer.utils.locks import ForkableLock

FEW_ROWS = 64  # up to which rows are computed in float64
_CACHED_BYTES = 2**18  # of the widest activations of the rows that go through the layers together

# ("linear", weight, bias), ("scale", factor, offset), ("floor", least, None) or ("call", kind, arguments)
Step = tuple[str, Any, Any]


class NumpyNetwork:
    """The layers of a network as products and activations.

    Parameters
    ----------
    parts : sequence of (layers, arrays)
        Blocks in order, and the head, with the arrays that their layers name.
    below : NumpyNetwork, optional
        Blocks that come before them. Several networks may share it, so that its products are held once.
    """

    def __init__(
        self, parts: Sequence[tuple[Sequence[Layer], Mapping[str, np.ndarray]]], below: NumpyNetwork | None = None
    ):
        self._below = below
        self._steps = [_as_dtype(step, np.float64) for step in folded_steps(parts)]
        # the same in float32, made when many rows come
        self._many_steps: tuple[list[Step], np.ndarray | None] | None = None
        self._lock = ForkableLock()

    def run(self, rows: np.ndarray) -> np.ndarray:
        """Outputs for one chunk of float32 rows: float64 for few, float32 for many. The caller looks for overflow."""
        if len(rows) <= FEW_ROWS:
            return self._few(rows.astype(np.float64))
        n_rows = max(FEW_ROWS, _CACHED_BYTES // (4 * self._width(rows.shape[1])))
        parts = []
        for part in in_chunks(len(rows), n_rows):
            x, rest = self._many(rows[part].astype(np.float32))
            parts.append(x if rest is None else np.add(x, rest, out=x))
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _few(self, x: np.ndarray) -> np.ndarray:
        return _through(self._steps, x if self._below is None else self._below._few(x))

    def _many(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Outputs but for a bias, and that bias."""
        steps, rest = self._in_float32()
        return _through(steps, x if self._below is None else self._below._many(x)[0]), rest

    def _width(self, n_columns: int) -> int:
        """Largest number of values of a row between two layers."""
        below = n_columns if self._below is None else self._below._width(n_columns)
        return max(below, *(first.shape[1] for kind, first, _ in self._steps if kind == "linear"), 1)

    def _in_float32(self) -> tuple[list[Step], np.ndarray | None]:
        """Steps that begin with what `_below` leaves undone, and the bias that they leave undone."""
        rest = None if self._below is None else self._below._in_float32()[1]
        with self._lock:
            if self._many_steps is None:
                steps, rest = _bias_behind_relu(_with_offset(self._steps, rest))
                rest = None if rest is None else rest.astype(np.float32)
                self._many_steps = [_as_dtype(step, np.float32) for step in steps], rest
            return self._many_steps


def _through(steps: Sequence[Step], x: np.ndarray) -> np.ndarray:
    """`x` after all steps; it is overwritten."""
    for kind, first, second in steps:
        if kind == "linear":
            x = np.matmul(x, first)
            if second is not None:
                x += second
        elif kind == "scale":
            x *= first
            x += second
        elif kind == "floor":
            np.maximum(x, first, out=x)
        else:
            _ACTIVATIONS[first](x, **second)  # in place
    return x


# ---- from layers to steps


def folded_steps(parts: Sequence[tuple[Sequence[Layer], Mapping[str, np.ndarray]]]) -> list[Step]:
    """Products, scalings and activations of the layers in `parts`, float64, with the normalisation in the weights."""
    return _fold([step for layers, arrays in parts for layer in layers for step in _step(layer, arrays)])


def _step(layer: Layer, arrays: Mapping[str, np.ndarray]) -> list[Step]:
    def array(name: str) -> np.ndarray:
        return np.asarray(arrays[layer.key + name], dtype=np.float64)

    if layer.kind == "Linear":
        weight = array("weight").T
        return [("linear", weight, array("bias") if layer.arguments["bias"] else np.zeros(weight.shape[1]))]
    if layer.kind == "Standardize":
        return [("scale", 1 / array("scale"), -array("mean") / array("scale"))]
    if layer.kind == "BatchNorm1d":
        factor = 1 / np.sqrt(array("running_var") + layer.arguments["eps"])
        offset = np.zeros_like(factor)
        if layer.arguments["affine"]:
            factor, offset = factor * array("weight"), array("bias")
        return [("scale", factor, offset - array("running_mean") * factor)]
    if layer.kind in ("Dropout", "Identity"):
        return []
    return [("call", layer.kind, layer.arguments)]


def _fold(steps: Sequence[Step]) -> list[Step]:
    """Multiply each scaling into the product before it, or, where there is none, into the product after it."""
    folded: list[Step] = []
    for step in steps:
        kind, first, second = step
        before: Step = folded[-1] if folded else ("", None, None)
        if kind == "scale" and before[0] in ("linear", "scale"):
            folded[-1] = (before[0], before[1] * first, before[2] * first + second)
        elif kind == "linear" and before[0] == "scale":
            folded[-1] = ("linear", before[1][:, None] * first, before[2] @ first + second)
        else:
            folded.append(step)
    return folded


def _with_offset(steps: Sequence[Step], offset: np.ndarray | None) -> list[Step]:
    """The same for inputs that lack `offset`."""
    if offset is None:
        return list(steps)
    if steps and steps[0][0] == "linear":
        _, weight, bias = steps[0]
        return [("linear", weight, bias + offset @ weight), *steps[1:]]
    return [("scale", np.ones_like(offset), offset), *steps]


def _bias_behind_relu(steps: Sequence[Step]) -> tuple[list[Step], np.ndarray | None]:
    """The same with ``max(x + b, 0) = max(x, -b) + b``: such biases are in the next product, the last is returned."""
    done: list[Step] = []
    ahead, rest = list(steps), None
    while ahead:
        step, *ahead = ahead
        before_relu = step[0] == "linear" and bool(ahead) and ahead[0][:2] == ("call", "ReLU")
        if before_relu and (len(ahead) == 1 or ahead[1][0] == "linear"):
            _, weight, bias = step
            done += [("linear", weight, None), ("floor", -bias, None)]
            ahead, rest = (_with_offset(ahead[1:], bias), None) if len(ahead) > 1 else ([], bias)
        else:
            done.append(step)
    return done, rest


def _as_dtype(step: Step, dtype: type[np.floating]) -> Step:
    kind, first, second = step
    if kind == "call":
        return step
    # BLAS is faster with one row in one order, with many in the other
    order: Any = "F" if dtype is np.float64 else "C"
    second = None if second is None else np.asarray(second, dtype=dtype)
    return kind, np.asarray(first, dtype=dtype, order=order), second


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
    scaled = x * x.dtype.type(beta)
    return np.divide(np.logaddexp(x.dtype.type(0), scaled), x.dtype.type(beta), out=x, where=scaled <= threshold)


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
