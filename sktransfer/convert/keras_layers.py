"""Layers of keras as layers of torch, with the same numbers.

::

    keras: (n, length, channels)                  torch: (n, channels, length)
    Dense, Conv1D, BatchNormalization, pooling --> Linear, Conv1d, BatchNorm1d, pooling
    Flatten, Reshape                           --> Permute first: the weights behind them expect keras's order of values

Each function takes a layer and the keras shape of a sample that goes in: ``(width,)`` or ``(length, channels)``, with
None for any length. It returns modules, or an empty list for a layer that changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from sktransfer.networks.registry import Permute

Shape = tuple[int | None, ...]

INPUT_ONLY = "InputLayer"
STARTS_A_BLOCK = ("Dense", "Conv1D")


class UnknownLayerError(ValueError):
    """Torch has no layer that does what a layer of keras does, or what one of its options does."""


def convert(layer: Any, shape: Shape) -> list[nn.Module]:
    """Modules that compute what `layer` does for samples of this keras shape.

    Raises
    ------
    UnknownLayerError
        If there are none. The message names the layer and its class.
    """
    kind = type(layer).__name__
    if kind not in _CONVERTERS or not type(layer).__module__.startswith("keras."):
        raise UnknownLayerError(
            f"{_name(layer)} cannot be converted; known are {', '.join(_CONVERTERS)}. Cut the network off below it "
            "(keras.Model(model.inputs, layer.output)) and pass that, or rebuild it in torch for from_module."
        )
    if len(shape) > 2 and kind != INPUT_ONLY:
        raise UnknownLayerError(f"{_name(layer)} takes samples of shape {shape}; rows and windows can be converted.")
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        raise _option(layer, "data_format", "'channels_last'")
    return _CONVERTERS[kind](layer, shape)


def _name(layer: Any) -> str:
    return f"layer {layer.name!r} ({type(layer).__name__})"


def _option(layer: Any, name: str, advice: str) -> UnknownLayerError:
    return UnknownLayerError(
        f"{_name(layer)} cannot be converted with {name}={getattr(layer, name, None)!r}; it can with {advice}."
    )


def _weights(layer: Any) -> list[torch.Tensor]:
    return [torch.from_numpy(np.array(array, dtype=np.float32)) for array in layer.get_weights()]


def _load(module: nn.Module, **tensors: torch.Tensor) -> nn.Module:
    module.load_state_dict(tensors, strict=True)
    return module


# ---- layers with weights


def _dense(layer: Any, shape: Shape) -> list[nn.Module]:
    kernel, *bias = _weights(layer)
    n_in, n_out = kernel.shape
    if len(shape) == 1:
        linear: nn.Module = nn.Linear(n_in, n_out, bias=bool(bias))
        named = {"weight": kernel.T}
    else:  # on every step of a window: a convolution of length one
        linear = nn.Conv1d(n_in, n_out, 1, bias=bool(bias))
        named = {"weight": kernel.T[:, :, None]}
    return [_load(linear, **named, **({"bias": bias[0]} if bias else {})), *activation(layer, shape)]


def _conv(layer: Any, shape: Shape) -> list[nn.Module]:
    kernel, *bias = _weights(layer)
    size, width, filters = kernel.shape
    (stride,), (dilation,) = layer.strides, layer.dilation_rate
    left, right = 0, 0
    if layer.padding == "causal":
        left = dilation * (size - 1)
    elif layer.padding == "same":
        left, right = _same(layer, shape[0], dilation * (size - 1) + 1, stride)
    module = nn.Conv1d(
        width * layer.groups,
        filters,
        size,
        stride=stride,
        padding=left if left == right else 0,
        dilation=dilation,
        groups=layer.groups,
        bias=bool(bias),
    )
    padded: list[nn.Module] = [] if left == right else [nn.ConstantPad1d((left, right), 0.0)]
    named = {"weight": kernel.permute(2, 1, 0)} | ({"bias": bias[0]} if bias else {})
    return [*padded, _load(module, **named), *activation(layer, shape)]


def _same(layer: Any, length: int | None, size: int, stride: int) -> tuple[int, int]:
    """Number of values that padding="same" adds to the left and to the right of a window."""
    if stride == 1:
        total = size - 1
    elif length is None:
        raise UnknownLayerError(
            f"{_name(layer)} pads by 'same' with strides={stride}, and how much depends on the length of the windows. "
            "Give it: from_keras(..., window_length=...)."
        )
    else:
        total = max((-(-length // stride) - 1) * stride + size - length, 0)
    return total // 2, total - total // 2


def _batch_norm(layer: Any, shape: Shape) -> list[nn.Module]:
    axis = layer.axis if isinstance(layer.axis, int) else layer.axis[0]
    if axis not in (-1, len(shape)):
        raise _option(layer, "axis", "axis=-1")
    arrays = _weights(layer)
    width = len(arrays[-1])
    gamma = arrays.pop(0) if layer.scale else torch.ones(width)
    beta = arrays.pop(0) if layer.center else torch.zeros(width)
    mean, variance = arrays
    module = nn.BatchNorm1d(width, eps=float(layer.epsilon), momentum=1 - float(layer.momentum))
    statistics = {"running_mean": mean, "running_var": variance, "num_batches_tracked": torch.tensor(0)}
    return [_load(module, weight=gamma, bias=beta, **statistics)]


def _layer_norm(layer: Any, shape: Shape) -> list[nn.Module]:
    axis = layer.axis if isinstance(layer.axis, int) else layer.axis[0]
    if axis not in (-1, len(shape)) or getattr(layer, "rms_scaling", False):
        raise _option(layer, "axis", "axis=-1 and without rms_scaling")
    arrays = _weights(layer)
    width = int(shape[-1] or 0)
    gamma = arrays.pop(0) if layer.scale else torch.ones(width)
    beta = arrays.pop(0) if layer.center else torch.zeros(width)
    module = _load(nn.LayerNorm(width, eps=float(layer.epsilon)), weight=gamma, bias=beta)
    return [module] if len(shape) == 1 else [Permute((0, 2, 1)), module, Permute((0, 2, 1))]


# ---- pooling


def _max_pool(layer: Any, shape: Shape) -> list[nn.Module]:
    (size,), (stride,) = layer.pool_size, layer.strides
    pad = _same(layer, shape[0], size, stride) if layer.padding == "same" else (0, 0)
    # the padding repeats the first and the last value, which the kernel covers anyway, so that no maximum changes
    return [*([nn.ReplicationPad1d(pad)] if any(pad) else []), nn.MaxPool1d(size, stride)]


def _average_pool(layer: Any, shape: Shape) -> list[nn.Module]:
    (size,), (stride,) = layer.pool_size, layer.strides
    left, right = _same(layer, shape[0], size, stride) if layer.padding == "same" else (0, 0)
    if left != right:
        raise _option(
            layer, "padding", "padding='valid': here 'same' pads unevenly, and keras's own backends disagree on it"
        )
    return [nn.AvgPool1d(size, stride, padding=left, count_include_pad=False)]


def _global(module: Callable[[int], nn.Module]) -> Callable[[Any, Shape], list[nn.Module]]:
    def convert_global(layer: Any, shape: Shape) -> list[nn.Module]:
        return [module(1), *([] if layer.keepdims else [nn.Flatten()])]

    return convert_global


# ---- shapes


def _flatten(layer: Any, shape: Shape) -> list[nn.Module]:
    if len(shape) == 1:
        return []
    return [nn.Flatten()] if 1 in shape else [Permute((0, 2, 1)), nn.Flatten()]


def _reshape(layer: Any, shape: Shape) -> list[nn.Module]:
    target = tuple(layer.target_shape)
    if None in shape or len(target) > 2:
        raise _option(layer, "target_shape", "rows or windows of a length that is known")
    size = int(np.prod([n for n in shape if n is not None]))
    known = int(np.prod([n for n in target if n != -1]))
    target = tuple(size // known if n == -1 else n for n in target)
    flat = _flatten(layer, shape)
    if len(target) == 1:
        return flat
    length, channels = target
    if channels == 1:
        return [*flat, nn.Unflatten(1, (1, length))]
    return [*flat, nn.Unflatten(1, target), Permute((0, 2, 1))]


def _permute(layer: Any, shape: Shape) -> list[nn.Module]:
    swapped = tuple(layer.dims) == (2, 1)
    return [Permute((0, 2, 1))] if swapped else []


def _pad(sign: int, name: str) -> Callable[[Any, Shape], list[nn.Module]]:
    def convert_pad(layer: Any, shape: Shape) -> list[nn.Module]:
        left, right = np.ravel(getattr(layer, name)).tolist()
        return [nn.ConstantPad1d((sign * left, sign * right), 0.0)]

    return convert_pad


# ---- activations, dropout and noise


def activation(layer: Any, shape: Shape) -> list[nn.Module]:
    """The activation that a layer applies to its output."""
    function = layer.activation
    if function is None or type(function).__name__ in _CONVERTERS:
        return [] if function is None else convert(function, shape)
    name = getattr(function, "__name__", None) or type(function).__name__
    if name == "linear":
        return []
    if name not in _ACTIVATIONS or not getattr(function, "__module__", "").startswith("keras."):
        raise UnknownLayerError(
            f"{_name(layer)} has the activation {name!r}, which cannot be converted; known are linear, "
            f"{', '.join(_ACTIVATIONS)}."
        )
    return [_ACTIVATIONS[name]()]


def _relu(layer: Any, shape: Shape) -> list[nn.Module]:
    largest, slope = layer.max_value, float(layer.negative_slope or 0)
    if layer.threshold or (largest is not None and (largest != 6 or slope)):
        raise _option(layer, "threshold" if layer.threshold else "max_value", "threshold=0 and max_value None or 6")
    return [nn.ReLU6() if largest is not None else nn.LeakyReLU(slope) if slope else nn.ReLU()]


def _softmax(layer: Any, shape: Shape) -> list[nn.Module]:
    if layer.axis not in (-1, len(shape)):
        raise _option(layer, "axis", "axis=-1")
    return [nn.Softmax(1)]


def _nothing(layer: Any, shape: Shape) -> list[nn.Module]:
    return []


_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "leaky_relu": lambda: nn.LeakyReLU(0.2),
    "elu": nn.ELU,
    "selu": nn.SELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "mish": nn.Mish,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "hard_sigmoid": nn.Hardsigmoid,
    "hard_silu": nn.Hardswish,
    "softplus": nn.Softplus,
    "softsign": nn.Softsign,
    "softmax": lambda: nn.Softmax(1),
}

_CONVERTERS: dict[str, Callable[[Any, Shape], list[nn.Module]]] = {
    INPUT_ONLY: _nothing,
    "Dense": _dense,
    "Conv1D": _conv,
    "BatchNormalization": _batch_norm,
    "LayerNormalization": _layer_norm,
    "MaxPooling1D": _max_pool,
    "AveragePooling1D": _average_pool,
    "GlobalMaxPooling1D": _global(nn.AdaptiveMaxPool1d),
    "GlobalAveragePooling1D": _global(nn.AdaptiveAvgPool1d),
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Permute": _permute,
    "ZeroPadding1D": _pad(1, "padding"),
    "Cropping1D": _pad(-1, "cropping"),
    "Activation": activation,
    "ReLU": _relu,
    "LeakyReLU": lambda layer, shape: [nn.LeakyReLU(float(layer.negative_slope))],
    "ELU": lambda layer, shape: [nn.ELU(float(layer.alpha))],
    "Softmax": _softmax,
    "Dropout": lambda layer, shape: [nn.Dropout(float(layer.rate))],
    "SpatialDropout1D": lambda layer, shape: [nn.Dropout1d(float(layer.rate))],
    "GaussianNoise": _nothing,
    "ActivityRegularization": _nothing,
}
