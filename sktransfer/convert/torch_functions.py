"""Functions of torch in a traced ``forward`` as layers with the same outputs.

::

    F.relu(x), x.view(n, -1), x.mean(2), ... --> nn.ReLU(), nn.Flatten(), nn.AdaptiveAvgPool1d(1) and nn.Flatten(), ...
    torch.cat, x[:, 0], x * 2, ...           --> None: no layer does the same, and the caller says so

A trace does not know how many axes a tensor has. In a network that keeps its samples apart, each layer here does what
the function does, or raises an error when it runs on a tensor with another number of axes. None returns something else.
"""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from torch.fx import Node

from sktransfer.convert.source_head import split_head
from sktransfer.networks.registry import Permute

Layers = list[nn.Module] | None


def convert_function(node: Node, before: Sequence[nn.Module]) -> Layers:
    """Layers that compute what a function or a method of torch does; None if there are none.

    Parameters
    ----------
    node : Node
        A call of a function or a method in a graph of torch.fx.
    before : sequence of nn.Module
        The layers that compute the tensor to which the function is applied.
    """
    name = function_name(node)
    if name in ("contiguous", "clone", "float"):
        return []
    if name in _BY_ARGUMENTS:
        return _BY_ARGUMENTS[name](node, before)
    make = _BY_OPTIONS.get(name.replace("_", ""))
    if make is None:
        return None
    options = dict(zip(("input", *inspect.signature(make).parameters), node.args, strict=False)) | node.kwargs
    # the module is traced in inference mode: a dropout that is active there is none
    if options.pop("training", "dropout" in name) or options.pop("dtype", None) is not None:
        return None
    for key in ("input", "inplace", "_stacklevel"):
        options.pop(key, None)
    is_global = name in _ONE_KERNEL and not options.get("padding")
    if is_global and _is_size(options.get("kernel_size"), node.args[0], (2,), (-1,)):
        return [_ONE_KERNEL[name](1)]  # the kernel is as long as the window
    if any(isinstance(value, Node) for value in options.values()):
        return None
    try:
        made = make(**options)
    except TypeError:  # an option that the layer does not have, or none where it needs one
        return None
    return [made] if isinstance(made, nn.Module) else made


def function_name(node: Node) -> str:
    """Name of the function or method that a node calls, without the ``_`` of those that work in place.

    It is empty for a function that is neither torch's nor an operator.
    """
    if node.op == "call_method":
        return str(node.target).rstrip("_")
    name = getattr(node.target, "__name__", "")
    homes = (torch, nn.functional, operator)
    known = node.target is getattr or any(getattr(home, name, None) is node.target for home in homes)
    return name.rstrip("_") if known else ""


def read_size(node: Any) -> tuple[Node, tuple[int, ...]] | None:
    """The tensor and the axes whose sizes a node holds, multiplied; None if it holds no size.

    No axes stand for the sizes of all axes, one beside the other: ``x.shape``.
    """
    if not isinstance(node, Node):
        return None
    name = function_name(node)
    arguments: Any = (*node.args, *node.kwargs.values())
    if name == "size" or (name == "getattr" and arguments[1] == "shape"):
        return arguments[0], arguments[1:] if name == "size" else ()
    if name == "getitem" and isinstance(arguments[1], int):
        sizes = read_size(arguments[0])
        return (sizes[0], (arguments[1],)) if sizes is not None and not sizes[1] else None
    if name == "mul" and len(arguments) == 2:
        first, second = map(read_size, arguments)
        return (first[0], first[1] + second[1]) if first and second and first[0] is second[0] else None
    return None


def _is_size(value: Any, tensor: Any, *axes: tuple[int, ...]) -> bool:
    """Whether a value is the size of these axes of `tensor`."""
    size = read_size(value)
    return size is not None and size[0] is tensor and size[1] in axes


# ---- functions whose layers depend on sizes, or on what stands before or behind them


def _view(node: Node, before: Sequence[nn.Module]) -> Layers:
    """``view`` and ``reshape`` where they keep the axis of the samples."""
    arguments: list[Any] = [*node.args, *node.kwargs.values()]
    tensor, *sizes = arguments
    first, *rest = sizes[0] if isinstance(sizes[0], tuple | list) else sizes
    if first != -1 and (read_size(first) or (None, None))[1] != (0,):
        return None
    if rest == [-1] or (len(rest) == 1 and _is_size(rest[0], tensor, (1,), (1, 2), (1, 2, 3))):
        return [nn.Flatten()]
    if len(rest) == 2 and rest[1] == -1 and _is_size(rest[0], tensor, (1,)):
        return [nn.Flatten(2)]
    if not rest or any(isinstance(size, Node) for size in rest):
        return None
    return [nn.Flatten(), nn.Unflatten(1, tuple(rest))]  # an error where a sample has another number of values


def _permute(node: Node, before: Sequence[nn.Module]) -> Layers:
    dims: list[Any] = [*node.args[1:], *node.kwargs.values()]
    dims = list(dims[0]) if isinstance(dims[0], tuple | list) else dims
    return [Permute(dims)] if dims[0] == 0 else None


def _squeeze(node: Node, before: Sequence[nn.Module]) -> Layers:
    """``squeeze`` of one axis, or of the column that a network with a single output returns."""
    dim = (*node.args[1:], *node.kwargs.values(), None)[0]
    head = split_head(nn.Sequential(*before)) if all(user.op == "output" for user in node.users) else None
    if head is not None and head[1].out_features == 1 and dim in (None, 1, -1):
        return []  # a single output stays a column
    if not isinstance(dim, int) or dim == 0:
        return None
    return [nn.Unflatten(dim, (1,)), nn.Flatten(dim - 1, dim)]  # an error where the axis has more than one element


def _maximum(node: Node, before: Sequence[nn.Module]) -> Layers:
    """``[0]`` or ``.values`` of ``x.max(dim)``, which has become a layer."""
    source, part = node.args
    is_max = isinstance(source, Node) and function_name(source) == "max"
    return [] if is_max and part in (0, "values") else None


# ---- functions whose layers depend on their options alone


def _unsqueeze(dim: int) -> Layers:
    if dim == 1:
        return [nn.Unflatten(1, (1, -1))]
    return [nn.Unflatten(max(dim - 1, -1), (-1, 1))] if dim == -1 or dim > 1 else None


def _transpose(dim0: int, dim1: int) -> Layers:
    return [Permute((0, 2, 1))] if {dim0 % 3, dim1 % 3} == {1, 2} else None


def _over(pool: type[nn.Module], pool_image: type[nn.Module]) -> Callable[..., Layers]:
    """``mean`` or ``max`` over time, over the sides of an image, or over the axis of the channels."""

    def reduce(dim: int | tuple[int, ...], keepdim: bool = False) -> Layers:
        dims = (dim,) if isinstance(dim, int) else tuple(dim)
        flat: list[nn.Module] = [] if keepdim else [nn.Flatten()]
        if dims in ((2,), (-1,)):
            return [pool(1), *flat]
        if dims in ((2, 3), (-2, -1), (-1, -2)):
            return [pool_image(1), *flat]
        return [Permute((0, 2, 1)), pool(1), *flat] if dims in ((1,), (-2,)) and not keepdim else None

    return reduce


def _pad(pad: tuple[int, int], mode: str = "constant", value: float | None = None) -> Layers:
    return [nn.ConstantPad1d((pad[0], pad[1]), value or 0.0)] if mode == "constant" and len(pad) == 2 else None


_BY_ARGUMENTS: dict[str, Callable[[Node, Sequence[nn.Module]], Layers]] = {
    "view": _view,
    "reshape": _view,
    "permute": _permute,
    "squeeze": _squeeze,
    "getitem": _maximum,
    "getattr": _maximum,
}

_ONE_KERNEL = {"avg_pool1d": nn.AdaptiveAvgPool1d, "max_pool1d": nn.AdaptiveMaxPool1d}

# fmt: off
_SAME_OPTIONS: tuple[type[nn.Module], ...] = (
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.SELU, nn.GELU, nn.SiLU, nn.Mish, nn.Tanh, nn.Sigmoid, nn.Hardsigmoid,
    nn.Hardswish, nn.Softplus, nn.Softsign, nn.Softmax, nn.LogSoftmax, nn.Dropout, nn.Dropout1d, nn.Dropout2d,
    nn.MaxPool1d, nn.MaxPool2d, nn.AvgPool1d, nn.AvgPool2d, nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d,
    nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d,
)
# fmt: on
_BY_OPTIONS: dict[str, Callable[..., nn.Module | Layers]] = {  # names without underscores
    **{kind.__name__.lower(): kind for kind in _SAME_OPTIONS},
    "flatten": lambda start_dim=0, end_dim=-1: nn.Flatten(start_dim, end_dim),
    "mean": _over(nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d),
    "amax": _over(nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d),
    "max": _over(nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d),
    "unsqueeze": _unsqueeze,
    "transpose": _transpose,
    "swapaxes": _transpose,
    "pad": _pad,
}
