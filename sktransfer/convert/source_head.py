"""The source head of a converted network: its last linear layer, which is taken off and kept with the backbone.

::

    [block] -> [block] -> [ReLU, Linear, Softmax]
                          [ReLU]  [source head]      softmax or sigmoid behind it are left out
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
_AFTER_HEAD = (nn.Softmax, nn.LogSoftmax, nn.Sigmoid, nn.Identity)


def is_taken_off(caller: str, head: str, classes: Any) -> bool:
    """Whether the parameters `head` and `classes` ask for a network without its source head.

    Raises
    ------
    ValueError
        If `head` is not one of `HEADS`, or a regressor's head is given classes.
    """
    if head not in HEADS:
        raise ValueError(f"{caller}: head must be one of {', '.join(map(repr, HEADS))}; got {head!r}.")
    if classes is not None and head == "values":
        raise ValueError(f"{caller}: head='values' is for a regressor, which has no classes. Leave one of them out.")
    return head != "block" or classes is not None


def split_head(module: nn.Module) -> tuple[nn.Module | None, nn.Linear] | None:
    """Split a module at the linear layer that it ends with, whatever of softmax or sigmoid is behind it.

    Returns
    -------
    (nn.Module or None, nn.Linear) or None
        The layers before it (None if there are none), and the linear layer. None if the module does not end with one.
    """
    if type(module) is nn.Linear:
        return None, module
    if type(module) is not nn.Sequential:
        return None
    layers = list(module._modules.items())  # named_children leaves out a layer that occurs a second time
    while layers and isinstance(layers[-1][1], _AFTER_HEAD):
        layers.pop()
    found = split_head(layers[-1][1]) if layers else None
    if found is None:
        return None
    name, rest, linear = layers.pop()[0], *found
    before = nn.Sequential()
    for key, layer in [*layers, *([] if rest is None else [(name, rest)])]:
        before.add_module(key, layer)
    return (before if len(before) else None), linear


def remove_head(
    caller: str, blocks: list[tuple[str, nn.Module]], *, required: bool
) -> tuple[list[tuple[str, nn.Module]], nn.Linear | None]:
    """Blocks without the last linear layer, and that layer.

    The rest of its block stays a block if it has weights. Otherwise it is appended to the block before.

    Raises
    ------
    ValueError
        If the blocks do not end with a linear layer although one is `required`, or hold nothing else.
    """
    found = split_head(blocks[-1][1])
    if found is None:
        if required:
            raise ValueError(
                f"{caller}: the network does not end with a linear layer (and softmax or sigmoid) to be taken off; "
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
        raise ValueError(f"{caller}: the network is one linear layer; without it there is nothing to transfer.")
    return blocks, linear


def add_source(backbone: Backbone, linear: nn.Linear | None, *, classes: Any, values: bool, X: Any) -> Backbone:
    """The backbone with its source head, if that has a meaning, and with the statistics of its features on `X`.

    Parameters
    ----------
    backbone : Backbone
        The blocks below the head.
    linear : nn.Linear or None
        The layer that was taken off.
    classes : array-like of shape (n_classes,) or None
        Classes of its outputs.
    values : bool
        Whether its outputs are those of a regressor.
    X : array-like of shape (n_samples, ...) or None
        Samples of the source.
    """
    width = backbone.n_features_out
    W = b = names = None
    if linear is not None and (values or classes is not None):
        W = linear.weight.detach().cpu().double().numpy()
        b = np.zeros(len(W)) if linear.bias is None else linear.bias.detach().cpu().double().numpy()
        if not values:
            names = np.asarray(classes)
            _check_classes(backbone.name, names, len(W))
            if len(names) == 2 and len(W) == 1:  # softmax of (-z / 2, z / 2) is the sigmoid of z
                W, b = np.concatenate([-W / 2, W / 2]), np.concatenate([-b / 2, b / 2])
    elif X is None:
        return backbone
    source = Source(np.zeros(width), np.ones(width), W, b, names)
    if X is not None:
        features = _features(backbone, X)
        source = source.rescaled(*feature_statistics(features, np.ones(len(features))))
    return backbone.describe(source=source)


def _check_classes(name: str, classes: np.ndarray, n_outputs: int) -> None:
    n_classes = n_outputs if n_outputs > 1 else 2
    if classes.shape != (n_classes,) or len(set(classes.tolist())) < len(classes):
        raise ValueError(
            f"Backbone {name!r}: classes has the names {classes.tolist()}; the last layer has {n_outputs} outputs, so "
            f"{n_classes} different names are expected."
        )


def _features(backbone: Backbone, X: Any) -> np.ndarray:
    """Features of `X`, of shape (n_samples, n_features_out), in inference mode."""
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
    """One network of the blocks. A dot in a name stands for a sequence inside a sequence, as in torch's names."""
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
    caller: str,
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
    """The backbone of these blocks, without its source head where the parameters ask for it.

    A `network` is given where its own submodules are the blocks and a file can name it. It stays the backbone's network
    unless the head was taken out of one of its blocks. The other parameters are those of `from_module`.
    """
    linear = None
    if is_taken_off(caller, head, classes):
        before = dict(blocks)
        blocks, linear = remove_head(caller, blocks, required=head == "values" or classes is not None)
        if any(before.get(key) is not module for key, module in blocks):
            network = None
    network = as_sequential(blocks) if network is None else network
    backbone = Backbone(network, [key for key, _ in blocks], name=name, inputs=inputs, provenance=provenance)
    return add_source(backbone, linear, classes=classes, values=head == "values", X=X)
