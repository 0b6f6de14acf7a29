"""FromScratch: an untrained network where a backbone is expected."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from sklearn.base import BaseEstimator

from sktransfer.backbones.backbone import Backbone
from sktransfer.backbones.inputs import Inputs
from sktransfer.backbones.persistence import load_backbone
from sktransfer.utils.random import build_seeded

if TYPE_CHECKING:
    from torch import nn


class FromScratch(BaseEstimator):
    """An untrained network in place of a backbone: the honest "no transfer" baseline, or the start of pretraining.

    Parameters
    ----------
    network : str, default="auto"
        Name of a registered network. ``"auto"``: for rows of a table ``"mlp"``, two blocks of 256 with dropout 0.1;
        for windows ``"cnn"``, with filters and strides as large as the windows are long enough for.
    arguments : dict, optional
        Its arguments without ``n_features_in``, which is taken from `X`. What they leave out is as ``"auto"`` has it,
        or the network's own default where it is named.
    blocks : list of str, optional
        Names of its blocks, in the order in which they run; None: all children.
    inputs : Inputs, optional
        What a network of windows or images takes, such as its front end; None: windows as they are, at any rate.

    Examples
    --------
    >>> from sktransfer import FromScratch
    >>> FromScratch(arguments={"hidden_layer_sizes": (64, 64)}).build(n_features_in=5)
    Backbone('from scratch', 2 blocks, 5 columns -> 64 features)
    >>> FromScratch().build(n_features_in=2, lengths=(1024,))
    Backbone('from scratch', 3 blocks, 2 x any -> 256 features)
    >>> from sktransfer import load_backbone
    >>> FromScratch.like(load_backbone("vibration")).build(n_features_in=1, lengths=(4096,))
    Backbone('from scratch', 3 blocks, any x any -> 238 features)
    """

    # Written out, so that files hold it whatever the defaults of the network are. docs/decisions/0040 has the reasons.
    _FOR_ROWS = {"hidden_layer_sizes": (256, 256), "dropout": 0.1}

    name = "from scratch"  # of the networks that it builds, in messages

    def __init__(self, network="auto", arguments=None, blocks=None, inputs=None):
        self.network = network
        self.arguments = arguments
        self.blocks = blocks
        self.inputs = inputs

    @classmethod
    def like(cls, backbone: Backbone) -> FromScratch:
        """The network of `backbone` without its weights; windows go through the same front end.

        What a network takes is read off `X`, as far as the network lets it: one that takes any number of columns or
        channels still does, and one that is made for a number keeps it. Ranges and names are those of the source, and
        are left out.
        """
        from sktransfer.backbones.blocks import takes_width

        if backbone.network is None:
            raise TypeError(f"FromScratch.like: register the network of {backbone.name!r} with register_network.")
        backbone.check_description()
        name, arguments = backbone.network["name"], dict(backbone.network["arguments"])
        arguments.pop("n_features_in", None)
        taken, inputs = backbone.inputs, None
        if taken.front_end is not None:
            inputs = Inputs(shape=taken.shape, sampling_rate=taken.sampling_rate, front_end=taken.front_end)
        elif not takes_width(name):
            inputs = Inputs(n=taken.n, shape=taken.shape)
        return cls(network=name, arguments=arguments, blocks=list(backbone.blocks), inputs=inputs)

    @property
    def n_dimensions(self) -> int | None:
        """Dimensions of the `X` that the network takes: 2 for rows, 3 for windows; None: either, or not known."""
        if self.inputs is not None:
            return 2 if self.inputs.shape is None else 1 + len(self.inputs.shape)
        if self.network != "auto":
            return {"mlp": 2, "cnn": 3}.get(self.network)
        named = set(self.arguments or {}) - {"dropout"}  # which both have
        if not named:
            return None
        return 2 if named <= {"hidden_layer_sizes", "batch_norm"} else 3

    @property
    def n_features_in(self) -> int | None:
        """Number of columns or channels that the network takes; None if it is read off `X`."""
        return None if self.inputs is None else self.inputs.n

    def build(self, n_features_in: int, lengths: tuple[int, ...] = ()) -> Backbone:
        """The network with the weights that its constructor draws from torch's generator.

        Parameters
        ----------
        n_features_in : int
            Number of columns, or of channels.
        lengths : tuple of int, default=()
            Length of a window in samples, height and width of an image; empty: rows of a table.

        Returns
        -------
        Backbone

        Raises
        ------
        ValueError
            If there is no such network, or ``"auto"`` knows none for such samples.
        """
        from sktransfer.backbones.blocks import build_network, takes_width

        name, arguments = self._resolved(lengths)
        if takes_width(name):
            arguments["n_features_in"] = n_features_in
        network = build_network({"name": name, "arguments": arguments})
        if self.inputs is not None:
            return Backbone(network, self.blocks, name=self.name, inputs=self.inputs)
        return self._describe(network, (n_features_in, *lengths))

    def _describe(self, network: nn.Module, shape: tuple[int, ...]) -> Backbone:
        """`network` as a backbone of samples of this shape, and of any length and number of channels that it takes."""
        if len(shape) == 1:
            return Backbone(network, self.blocks, name=self.name, inputs=Inputs(n=shape[0]))
        for inputs in (None, Inputs(shape=(shape[0], *(None,) * (len(shape) - 1)))):
            try:
                made = Backbone(network, self.blocks, name=self.name, inputs=inputs)
            except ValueError:
                continue
            # the first layer may be of something else than the channels
            if made.n_dimensions == 1 + len(shape) and made.n_features_in in (None, shape[0]):
                return made
        return Backbone(network, self.blocks, name=self.name, inputs=Inputs(shape=shape))

    def _resolved(self, lengths: tuple[int, ...]) -> tuple[str, dict[str, Any]]:
        """Name and arguments of the network."""
        arguments = dict(self.arguments or {})
        if self.network != "auto":
            return self.network, arguments
        if not lengths:
            return "mlp", self._FOR_ROWS | arguments
        if len(lengths) > 1:
            raise ValueError(
                f"FromScratch: network='auto' knows no network for images of {lengths} pixels. Register one with "
                "register_network and name it, or pass a Backbone of it."
            )
        from sktransfer.networks.cnn import for_length

        return "cnn", for_length(lengths[0], arguments)


def open_backbone(backbone: Backbone | FromScratch | str | os.PathLike[str] | None) -> Backbone | FromScratch:
    """What the parameter ``backbone`` of an estimator names: a file is read; None is ``FromScratch()``.

    It says what `X` must be like. A network from scratch is built when `X` has been checked, because its width is read
    off `X`.
    """
    if isinstance(backbone, str | os.PathLike):
        return load_backbone(backbone)
    return FromScratch() if backbone is None else backbone


def resolve(
    backbone: Backbone | FromScratch | str | os.PathLike[str] | None, shape: tuple[int, ...], seed: int
) -> tuple[Backbone, bool]:
    """The network that the parameter ``backbone`` of an estimator stands for, and whether it is untrained.

    Parameters
    ----------
    backbone : Backbone, FromScratch, str, path or None
        The parameter, or what :func:`open_backbone` made of it.
    shape : tuple of int
        Of a checked sample.
    seed : int
        Of the weights of an untrained network.
    """
    opened = open_backbone(backbone)
    if isinstance(opened, Backbone):
        return opened, False
    return build_seeded(lambda: opened.build(shape[0], tuple(shape[1:])), seed), True
