"""The last linear layer of a network from elsewhere: taken off, and remembered as the source head if it is named.

::

    [block] -> [block] -> [ReLU, Linear, Softmax]
                          [ReLU]  [old head]         softmax or sigmoid behind it are left out
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import nn

from sktransfer.backbones.backbone import Backbone
from sktransfer.backbones.inputs import Inputs
from sktransfer.backbones.source import Source, feature_statistics
from sktransfer.networks.transfer_module import TransferModule

HEADS = ("drop", "values", "block")
_BEHIND = (nn.Softmax, nn.LogSoftmax, nn.Sigmoid, nn.Identity)


def check_words(who: str, head: str, classes: Any) -> bool:
    """Whether the old head is taken off.

    Raises
    ------
    ValueError
        For other words than the allowed ones, or classes of a head that stays.
    """
    if head not in HEADS:
        raise ValueError(f"{who}: head must be one of {', '.join(map(repr, HEADS))}; got {head!r}.")
    if classes is not None and head == "values":
        raise ValueError(f"{who}: head='values' is for a regressor, which has no classes. Leave one of them out.")
    return head != "block" or classes is not None


def split_head(module: nn.Module) -> tuple[nn.Module | None, nn.Linear] | None:
    """What stands before the last linear layer (None: nothing), and that layer; None if there is none at the end."""
    if type(module) is nn.Linear:
        return None, module
    if type(module) is not nn.Sequential:
        return None
    layers = list(module.named_children())
    while layers and isinstance(layers[-1][1], _BEHIND):
        layers.pop()
    found = split_head(layers[-1][1]) if layers else None
    if found is None:
        return None
    name, rest, linear = layers.pop()[0], *found
    before = nn.Sequential()
    for key, layer in [*layers, *([] if rest is None else [(name, rest)])]:
        before.add_module(key, layer)
    return (before if len(before) else None), linear


def take_off(
    who: str, blocks: list[tuple[str, nn.Module]], *, required: bool
) -> tuple[list[tuple[str, nn.Module]], nn.Linear | None]:
    """Blocks without the last linear layer, and that layer.

    What is left of its block is a block if it has weights, and belongs to the block before it otherwise.

    Raises
    ------
    ValueError
        If there is none although one is `required`, or nothing else.
    """
    found = split_head(blocks[-1][1])
    if found is None:
        if required:
            raise ValueError(
                f"{who}: the network does not end with a linear layer (and softmax or sigmoid) to be taken off; "
                f"its last block is {blocks[-1][0]!r}. Leave out classes, or name the blocks below the head."
            )
        return blocks, None
    rest, linear = found
    blocks, (name, _) = blocks[:-1], blocks[-1]
    if rest is not None and (not blocks or any(True for _ in rest.parameters())):
        blocks = [*blocks, (name, rest)]
    elif rest is not None:
        below, last = blocks[-1]
        blocks = [*blocks[:-1], (below, nn.Sequential(last, rest))]
    if not blocks:
        raise ValueError(f"{who}: the network is one linear layer; without it there is nothing to transfer.")
    return blocks, linear


def remember(backbone: Backbone, linear: nn.Linear | None, *, classes: Any, values: bool, X: Any) -> Backbone:
    """The backbone with what is known of its source: the old head's rows, and the statistics of its features on `X`."""
    who, width = backbone.name, backbone.n_features_out
    if X is None and (linear is None or not (values or classes is not None)):
        return backbone
    source = Source(np.zeros(width), np.ones(width))
    if linear is not None and (values or classes is not None):
        W = linear.weight.detach().cpu().double().numpy()
        b = np.zeros(len(W)) if linear.bias is None else linear.bias.detach().cpu().double().numpy()
        names = None if values else np.asarray(classes)
        if names is not None:
            _check_classes(who, names, len(W))
            if len(names) == 2 and len(W) == 1:  # softmax of (-z / 2, z / 2) is the sigmoid of z
                W, b = np.concatenate([-W / 2, W / 2]), np.concatenate([-b / 2, b / 2])
        source = Source(np.zeros(width), np.ones(width), W, b, names)
    if X is not None:
        features = _features(backbone, X)
        source = source.rescaled(*feature_statistics(features, np.ones(len(features))))
    return backbone.describe(source=source)


def _check_classes(who: str, names: np.ndarray, n_outputs: int) -> None:
    right = n_outputs if n_outputs > 1 else 2
    if names.shape != (right,) or len(set(names.tolist())) < len(names):
        raise ValueError(
            f"Backbone {who!r}: classes has the names {names.tolist()}; the last layer has {n_outputs} outputs, so "
            f"{right} different names are expected."
        )


def _features(backbone: Backbone, X: Any) -> np.ndarray:
    rows, shape = np.ascontiguousarray(X, dtype=np.float32), backbone.inputs.shape or (backbone.n_features_in,)
    fits = rows.ndim == 1 + len(shape) and all(n in (None, m) for n, m in zip(shape, rows.shape[1:], strict=True))
    if not fits or len(rows) < 2 or not np.isfinite(rows).all():
        raise ValueError(
            f"Backbone {backbone.name!r}: X has shape {rows.shape}; expected are two or more finite samples of shape "
            f"{shape}, as the backbone takes them."
        )
    module = TransferModule(backbone.copy_blocks(), nn.Identity(), backbone.blocks).eval()
    return module.run_features(rows).astype(np.float64)


def as_sequential(blocks: list[tuple[str, nn.Module]]) -> nn.Sequential:
    """One network of the blocks; dots in names reach into nested sequences, as they did."""
    network = nn.Sequential()
    for name, module in blocks:
        *path, last = name.split(".")
        inner: Any = network
        for step in path:
            if step not in inner._modules:
                inner.add_module(step, nn.Sequential())
            inner = inner._modules[step]
        inner.add_module(last, module)
    return network


def make_backbone(
    who: str,
    network: nn.Module | None,
    blocks: list[tuple[str, nn.Module]],
    *,
    head: str,
    classes: Any,
    X: Any,
    name: str,
    inputs: Inputs | None,
    provenance: Mapping[str, Any] | None,
) -> Backbone:
    """The backbone of these blocks, `network`'s own if it is given and they are its parts."""
    linear = None
    if check_words(who, head, classes):
        before = dict(blocks)
        blocks, linear = take_off(who, blocks, required=head == "values" or classes is not None)
        if any(before.get(key) is not module for key, module in blocks):
            network = None
    network = as_sequential(blocks) if network is None else network
    backbone = Backbone(network, [key for key, _ in blocks], name=name, inputs=inputs, provenance=provenance)
    return remember(backbone, linear, classes=classes, values=head == "values", X=X)
