"""Torch modules as backbones.

::

    module --torch.fx--> submodules and functions in the order in which they run --> blocks --> Backbone
                         a branch, or a function that is no layer: an error that says where
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sktransfer.backbones.inputs import Inputs

if TYPE_CHECKING:
    from torch import nn

    from sktransfer.backbones.backbone import Backbone


def from_module(
    module: nn.Module,
    *,
    blocks: Sequence[str] | None = None,
    input_shape: Sequence[int | None] | None = None,
    head: str = "block",
    classes: Any = None,
    X: Any = None,
    name: str | None = None,
    inputs: Inputs | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> Backbone:
    """Turn a torch module into a backbone whose blocks, one after the other, do what its ``forward`` does.

    torch.fx follows ``forward`` without running it on data. A submodule with weights begins a block, which has its
    name. The normalisation, submodules without weights and functions behind it belong to that block. A function
    becomes the layer that does the same: ``F.relu(x)`` becomes ``nn.ReLU()``, and so do the other activations,
    pooling, dropout, ``view``, ``flatten``, ``mean``, ``squeeze``, ``transpose`` and their like. A submodule that
    ``forward`` calls stays whole, so that it may hold branches. A class known by `register_network` keeps its
    submodules as blocks. The module stays as it is.

    Parameters
    ----------
    module : nn.Module
        Takes one tensor, (n_samples, n_features), (n_samples, n_channels, length) or
        (n_samples, n_channels, height, width).
    blocks : sequence of str or None, default=None
        Names of submodules to be the blocks, in the order in which they run; dots reach into nested modules. Functions
        between two of them belong to the first of the two. What follows the last one is left out. None: the submodules
        that ``forward`` calls.
    input_shape : sequence of int or None, default=None
        Shape of one sample: ``(n_features,)``, ``(n_channels, length)`` or ``(n_channels, height, width)``; None in it:
        any number. None: what the first convolution or linear layer takes.
    head : {"drop", "values", "block"}, default="block"
        What happens to a linear layer at the end, with softmax or sigmoid behind it. ``"block"``: it stays in the last
        block. ``"drop"``: it is left out, and a new head takes its place. ``"values"``: the same, and the head of a
        regressor begins from its rows.
    classes : array-like of shape (n_classes,) or None, default=None
        Classes of the outputs of that layer, in their order. A single output has two: the second is the class of
        positive outputs. The layer is then left out, and a new head begins from its rows as
        :class:`sktransfer.LinearHead` says.
    X : array-like of shape (n_samples, ...) or None, default=None
        Some samples of the source. Heads are then standardised by the statistics of their features. None: by those of
        the target samples, or not at all where the source head is kept.
    name : str or None, default=None
        Used in messages; None: the module's class.
    inputs : Inputs or None, default=None
        Names, units and scaling of the inputs.
    provenance : dict or None, default=None
        Anything JSON can hold: data set, task, date, licence.

    Returns
    -------
    Backbone
        It can be stored if its layers are standard ones or its class is known by `register_network`.

    Raises
    ------
    TypeError
        If `module` is no torch module.
    ValueError
        If ``forward`` joins branches, applies a function that no layer replaces, uses weights twice, or depends on the
        values that it gets. The message says where, and how to mend it.

    Warns
    -----
    UserWarning
        If torch.fx cannot trace ``forward`` although `blocks` are named. They are then taken as they are named, and
        nothing compares them with ``forward``.

    Notes
    -----
    The trace is that of inference mode. ``F.dropout(x, training=self.training)`` becomes ``nn.Dropout``, which drops
    while a network is trained. A single output that ``forward`` squeezes to shape (n_samples,) stays a column.

    Examples
    --------
    >>> from torch import nn
    >>> from sktransfer import from_module
    >>> net = nn.Sequential(
    ...     nn.Conv2d(1, 8, 5), nn.ReLU(), nn.MaxPool2d(4), nn.Flatten(), nn.Linear(8 * 6 * 6, 32), nn.ReLU(),
    ...     nn.Linear(32, 3))
    >>> from_module(net, input_shape=(1, 28, 28), classes=["crack", "pore", "sound"], name="camera")
    Backbone('camera', 2 blocks, 1 x 28 x 28 -> 32 features, 3 classes)
    """
    from torch import nn

    from sktransfer.convert.source_head import make_backbone
    from sktransfer.convert.tracing import trace_blocks

    if not isinstance(module, nn.Module) or type(module).__module__.startswith("keras."):
        advice = " Use from_keras." if type(module).__module__.startswith("keras.") else ""
        raise TypeError(f"from_module takes a torch nn.Module, got {type(module).__name__}.{advice}")
    inputs = _with_shape(inputs or Inputs(), input_shape)
    network, found, inputs = trace_blocks(module, blocks, inputs)
    return make_backbone(
        "from_module",
        network,
        found,
        head=head,
        classes=classes,
        X=X,
        name=name or type(module).__name__,
        inputs=inputs,
        provenance=provenance,
    )


def _with_shape(inputs: Inputs, input_shape: Sequence[int | None] | None) -> Inputs:
    """`inputs` with the shape of a sample, if it is given."""
    if input_shape is None:
        return inputs
    shape = tuple(input_shape)
    return dataclasses.replace(inputs, n=shape[0]) if len(shape) == 1 else dataclasses.replace(inputs, shape=shape)
