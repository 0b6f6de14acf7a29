r"""Which features of a backbone a head gets: those of each tag, those of the plant that pools its tags, or both.

::

    windows --> [tag: each channel by itself] -+-> [plant: pooled] --------> "pooled": any number of tags, any order
                                               +-> one after the other ----> "tag": these tags in this order
                                               +-> both side by side ------> "both"

Pooled features have forgotten which tag they saw. A head on features by tag can tell a leak in one tank from a leak in
another, and takes the tags that it was fitted to and no others. The choice is a backbone like any other: it is saved,
searched, fitted and used as a source as such.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from sktransfer.backbones.backbone import Backbone
from sktransfer.backbones.from_scratch import FromScratch, resolve
from sktransfer.backbones.source import Source

BLOCKS = ("auto", "tag", "pooled", "both")


def resolve_block(
    estimator: Any, backbone: Backbone | FromScratch, shape: tuple[int, ...], seed: int
) -> tuple[Backbone, bool]:
    """The network that ``backbone`` and ``block`` of an estimator stand for, and whether it is untrained.

    Parameters
    ----------
    estimator : estimator
        For its parameters ``block`` and ``head``.
    backbone : Backbone or FromScratch
        As :func:`sktransfer.backbones.from_scratch.open_backbone` returns it.
    shape : tuple of int
        Of a checked sample.
    seed : int
        Of the weights of an untrained network.

    Raises
    ------
    ValueError
        If the backbone has no such features.
    """
    found, untrained = resolve(backbone, shape, seed)
    name, block, asked = type(estimator).__name__, estimator.block, block_of_source_head(estimator)
    if asked is not None and not (_has_source_head(found) and _pools(found)):
        asked = None
    if block == "tag" and asked is not None:
        raise ValueError(
            f"{name}(block='tag'): the head asks for the source head of backbone {found.name!r}, which reads features "
            "of all tags pooled. Pass block='both' or block='pooled', or LinearHead() as it is by default."
        )
    return with_block(name, found, asked if block == "auto" else block, shape[0], untrained=untrained), untrained


def block_of_source_head(estimator: Any) -> str | None:
    """The features that the head of an estimator needs because it asks for the source head; None: it does not.

    ``init="source"`` leaves out what the source head gives no weight, which are the features by tag.
    """
    head = getattr(estimator, "head", None)
    if getattr(head, "init", None) == "source":
        return "pooled"
    stated = getattr(head, "source_classes", None)
    return None if stated is None or (isinstance(stated, str) and stated == "auto") else "both"


def _has_source_head(backbone: Backbone) -> bool:
    return backbone.source is not None and backbone.source.weight is not None


def _pools(backbone: Backbone) -> bool:
    from sktransfer.networks.registry import keeps_channels

    return backbone.blocks == ("tag", "plant") and keeps_channels(backbone.network, False, 1) is not None


def keeps_tags(backbone: Backbone) -> bool:
    """Whether a backbone can give features by tag, pooled or both, and was not fitted to one of these."""
    return _pools(backbone)


def _keeps_or_pools(backbone: Backbone) -> bool:
    from sktransfer.networks.registry import channels_kept

    return _pools(backbone) or channels_kept(backbone.network) is not None


def with_block(
    name: str, backbone: Backbone, block: str | None, n_channels: int, *, untrained: bool = False
) -> Backbone:
    """`backbone` with the features that `block` names.

    Parameters
    ----------
    name : str
        Of the estimator, for errors.
    backbone : Backbone
    block : {"tag", "pooled", "both"} or None
        None: by tag where the backbone can and was not fitted to pooled features of a plant; else as it is.
    n_channels : int
        Of the windows at hand.
    untrained : bool, default=False
        Whether the weights are random: then features have no statistics.

    Raises
    ------
    ValueError
        If the backbone has no such features.
    """
    from sktransfer.networks.registry import channels_kept

    is_now = channels_kept(backbone.network)
    if is_now is not None:
        if block not in (None, is_now):
            raise ValueError(
                f"{name}(block={block!r}): backbone {backbone.name!r} was fitted with block={is_now!r}, and its "
                f"source head reads these features. Leave block='auto', or fit its source again with block={block!r}."
            )
        return backbone
    pools = _pools(backbone)
    # what was fitted to the pooled features of a plant has a source head for them
    if block == "pooled" or (block is None and (not pools or backbone.inputs.minimum is not None)):
        return backbone
    if not pools:
        raise ValueError(
            f"{name}(block={block!r}): backbone {backbone.name!r} has no features by tag; the shipped backbone "
            "'process' has. Leave block='auto'."
        )
    return _apart(backbone, block == "both", n_channels, untrained)


def cut_at(
    name: str, backbone: Backbone, block: str | None, n_channels: int, *, untrained: bool = False
) -> tuple[Backbone, int]:
    """A backbone and the number of its blocks that return what `block` names; None: all of `backbone`.

    The parameters are those of :func:`with_block`; `block` may name any block as well.
    """
    if block in BLOCKS[1:] and _keeps_or_pools(backbone):
        found = with_block(name, backbone, block, n_channels, untrained=untrained)
        return found, len(found.blocks)
    if block is not None and block not in backbone.blocks:
        raise ValueError(f"{name}: backbone {backbone.name!r} has no block {block!r}; it has {list(backbone.blocks)}.")
    return backbone, len(backbone.blocks) if block is None else backbone.blocks.index(block) + 1


def _apart(backbone: Backbone, both: bool, n_channels: int, untrained: bool) -> Backbone:
    """A backbone of the same weights that keeps its channels apart, and if asked the pooled features beside them."""
    from sktransfer.networks.registry import build_empty, keeps_channels

    description = keeps_channels(backbone.network, both, n_channels)
    network: Any = build_empty(description or {})
    tag, plant = backbone.copy_blocks()
    network.tag.load_state_dict(tag.state_dict(), assign=True)
    if both:
        network.tags.plant.load_state_dict(plant.state_dict(), assign=True)
    inputs = dataclasses.replace(
        backbone.inputs, n=None, shape=(n_channels, *(backbone.inputs.shape or (None, None))[1:])
    )
    source = None if untrained else _source(network.tag.feature_statistics(), n_channels, backbone.source, both)
    named = {"name": backbone.name, "provenance": backbone.provenance}
    return Backbone(network, ["tag", "tags"], inputs=inputs, source=source, **named)


def _source(
    statistics: tuple[np.ndarray, np.ndarray], n_channels: int, pooled: Source | None, both: bool
) -> Source | None:
    """Statistics of features by tag, and with `both` the source head, which gives weight to pooled features alone."""
    mean, scale = (np.tile(values, n_channels) for values in statistics)
    if not both:
        return Source(mean, scale)
    if pooled is None:
        return None
    mean, scale = np.r_[mean, pooled.feature_mean], np.r_[scale, pooled.feature_scale]
    if pooled.weight is None:
        return Source(mean, scale)
    weight = np.hstack([np.zeros((len(pooled.weight), len(mean) - pooled.weight.shape[1])), pooled.weight])
    return Source(mean, scale, weight, pooled.bias, pooled.classes)
