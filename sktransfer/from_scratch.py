"""FromScratch: an untrained network where a backbone is expected."""

from __future__ import annotations

import os

from sklearn.base import BaseEstimator

from sktransfer._random import build_seeded
from sktransfer.backbone import Backbone
from sktransfer.card import Inputs
from sktransfer.persistence import load_backbone


class FromScratch(BaseEstimator):
    """An untrained network in place of a backbone: the honest "no transfer" baseline, or the start of pretraining.

    Parameters
    ----------
    network : str, default="mlp"
        Name of a registered network.
    arguments : dict, optional
        Its arguments without ``n_features_in``, which is taken from the rows.
    blocks : list of str, optional
        Names of its blocks; default: all children.

    Examples
    --------
    >>> from sktransfer import FromScratch
    >>> FromScratch(arguments={"hidden_layer_sizes": (64, 64)}).build(n_features_in=5)
    Backbone('from scratch', 2 blocks, 5 columns -> 64 features)
    """

    def __init__(self, network="mlp", arguments=None, blocks=None):
        self.network = network
        self.arguments = arguments
        self.blocks = blocks

    @classmethod
    def like(cls, backbone: Backbone) -> FromScratch:
        """The network of `backbone` without its weights."""
        if backbone.network is None:
            raise TypeError(f"FromScratch.like: register the network of {backbone.name!r} with register_network.")
        name, arguments = backbone.network["name"], dict(backbone.network["arguments"])
        arguments.pop("n_features_in", None)
        return cls(network=name, arguments=arguments, blocks=list(backbone.blocks))

    def build(self, n_features_in: int) -> Backbone:
        """The network with the weights that its constructor draws from torch's generator."""
        from sktransfer._blocks import build_network, takes_width

        arguments = dict(self.arguments or {})
        if takes_width(self.network):
            arguments["n_features_in"] = n_features_in
        network = build_network({"name": self.network, "arguments": arguments})
        return Backbone(network, self.blocks, name="from scratch", inputs=Inputs(n=n_features_in))


def resolve_backbone(
    backbone: Backbone | FromScratch | str | os.PathLike[str] | None, n_features_in: int, seed: int
) -> tuple[Backbone, bool]:
    """What the parameter ``backbone`` of an estimator stands for, and whether it is untrained."""
    if isinstance(backbone, str | os.PathLike):
        backbone = load_backbone(backbone)
    if isinstance(backbone, Backbone):
        return backbone, False
    recipe = FromScratch() if backbone is None else backbone
    return build_seeded(lambda: recipe.build(n_features_in), seed), True
