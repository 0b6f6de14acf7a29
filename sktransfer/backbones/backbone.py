"""Backbone: a pretrained network up to its features, and what one must know to use it.

::

    X -> [block 1] -> [block 2] -> ... -> features -> [source head] -> source classes
          names, inputs and units, scaling, feature statistics, provenance
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np

from sktransfer.backbones.card import Card, card_of
from sktransfer.backbones.inputs import Inputs, fields_of, inputs_of
from sktransfer.backbones.source import Source
from sktransfer.backbones.weights import Weights
from sktransfer.exceptions import ModelFileError
from sktransfer.networks.layers import Blocks, fits, layers_of, width_after
from sktransfer.utils.checksums import Checksummed, seal, unseal
from sktransfer.utils.counted_nouns import counted
from sktransfer.utils.locks import ForkableLock
from sktransfer.utils.untrusted import is_untrusted

if TYPE_CHECKING:  # loading a backbone of known layers and predicting with it needs no torch
    import torch
    from torch import nn

STATE_FORMAT = 1


class Backbone(Checksummed):
    """A pretrained network up to its features: immutable, shared by clones, never trained in place.

    The features are what the blocks, applied in their order, return. Layers of `network` outside the blocks, such
    as its head, are left out. Estimators copy the blocks before they train anything.

    Parameters
    ----------
    network : nn.Module
        Copied, so later changes of the caller's object have no effect.
    blocks : sequence of str, optional
        Names of submodules in order from the input; dots reach into nested modules. Default: all children.
    name : str, default="backbone"
        Used in messages.
    inputs : Inputs, optional
        Names, units, scaling and number of columns; the number is read off the first linear layer if not given.
    source : Source, optional
        Source classes, source head and feature statistics.
    provenance : dict, optional
        Anything JSON can hold: data set, task, sampling rate in Hz, date, licence.

    Attributes
    ----------
    network : dict or None
        Name and arguments of the network; None if it cannot be named in a file.
    blocks : tuple of str
        Block names, counted from the input.
    weights : tuple of Weights
        Parameters and buffers of each block, named arrays.
    layers : tuple of tuple of Layer, or None
        Layers of each block; None if only torch can compute them.
    n_features_out : int
        Number of features.

    Raises
    ------
    ValueError
        If a block's name matches nothing, or the blocks in order do not reproduce ``network(x)`` although no layer
        with weights was left out.

    Examples
    --------
    >>> from torch import nn
    >>> from sktransfer import Backbone
    >>> net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))   # the last layer is the source head
    >>> Backbone(net, blocks=["0", "1"])
    Backbone('backbone', 2 blocks, 4 columns -> 8 features)
    """

    def __init__(
        self,
        network: nn.Module,
        blocks: Sequence[str] | None = None,
        *,
        name: str = "backbone",
        inputs: Inputs | None = None,
        source: Source | None = None,
        provenance: Mapping[str, Any] | None = None,
    ):
        from torch import nn

        from sktransfer.backbones.alterations import refuse_lost
        from sktransfer.backbones.blocks import (
            compare_with_forward,
            describe_network,
            find_blocks,
            layers_of_modules,
            read_inputs,
            weights_of,
        )

        if not isinstance(network, nn.Module):
            raise TypeError(f"Backbone takes a torch nn.Module, got {type(network).__name__}.")
        names = tuple(blocks) if blocks is not None else tuple(network._modules)
        modules = find_blocks(network, names)
        refuse_lost("Backbone", network, names)
        modules = [module.eval().requires_grad_(False) for module in _copied(name, modules)]
        modules = [module.to("cpu") for module in modules]
        inputs = read_inputs(modules, inputs or Inputs())
        description = describe_network(network)
        weights = [weights_of(module) for module in modules]
        layers = layers_of_modules(modules)
        self._set(description, names, modules, weights, layers, name, inputs, source, dict(provenance or {}))
        if blocks is None and type(network) is not nn.Sequential:
            compare_with_forward(modules, inputs, network, self.prepare)

    def _set(self, network, blocks, modules, weights, layers, name, inputs, source, provenance) -> None:
        """Set all attributes. `modules` is None if they are to be built when first needed: then `layers` are known."""
        self.network: Any = network  # dict, or None
        self.blocks: tuple[str, ...] = blocks
        self._built: list[nn.Module] | None = modules
        self.weights: tuple[Weights, ...] = tuple(weights)
        known = layers is not None and inputs.shape is None and all(map(fits, layers, weights))
        self.layers: Blocks | None = layers if known else None
        self._lock = ForkableLock()
        self._is_described = False  # whether it is known that network and weights alone make this backbone again
        self.name = name
        self.inputs = inputs
        self._front_end = None
        if inputs.front_end is not None:
            from sktransfer.preprocessing.front_ends import front_end

            self._front_end = front_end(inputs.front_end)
        self._source: Any = source
        self.provenance = provenance
        self.n_features_out = self._measure(inputs)
        if source is not None and not isinstance(source, Source) and not callable(source):
            raise TypeError(f"Backbone takes a sktransfer.Source as source, got {type(source).__name__}.")
        if isinstance(source, Source):
            source.check(self.n_features_out)

    def _measure(self, inputs: Inputs) -> int:
        if self.layers is None:
            from sktransfer.backbones.blocks import probe_width

            return probe_width(self._modules, inputs, self.prepare)
        width = inputs.n or 8
        try:
            return width_after(self.layers, width)
        except ValueError as error:
            raise ValueError(
                f"Backbone: the blocks do not take {width} columns one after the other ({error}). If they take "
                "another number, say so by inputs=Inputs(n=...)."
            ) from error

    @property
    def _modules(self) -> list[nn.Module]:
        """The blocks as torch modules on the CPU, on the memory of `weights`; built when first asked for."""
        with self._lock:  # estimators in several threads share one backbone
            if self._built is None:
                from sktransfer.backbones.blocks import build_blocks

                self._built = build_blocks(self.network, self.blocks, self.weights)
            return self._built

    def __setattr__(self, name: str, value: Any) -> None:
        # shared by clones and threads: what one of them changed, all would see
        if not name.startswith("_") and (name in self.__dict__ or hasattr(type(self), name)):
            raise AttributeError(f"A Backbone is immutable; use backbone.describe({name}=...) for a changed one.")
        super().__setattr__(name, value)

    @property
    def source(self) -> Source | None:
        """What the backbone remembers of its source task; measured when first asked for where a search made it."""
        if callable(self._source):
            with self._lock:
                if callable(self._source):
                    self._source = self._source()
        return self._source

    @property
    def n_features_in(self) -> int | None:
        """Number of columns, or of channels of windows and images; None if any number fits."""
        return self.inputs.n

    @property
    def n_dimensions(self) -> int:
        """Dimensions of `X`: 2 for rows of a table, 3 for windows, 4 for images."""
        return 2 if self.inputs.shape is None else 1 + len(self.inputs.shape)

    def prepare(self, X: Any) -> np.ndarray:
        """`X` as the first block takes it: a plain array, from the front end if there is one."""
        return np.asarray(X) if self._front_end is None else self._front_end(X)

    @property
    def nbytes(self) -> int:
        """Bytes of all weights and buffers."""
        return sum(weights.nbytes for weights in self.weights)

    def copy_blocks(self) -> list[nn.Module]:
        """Fresh copies of the blocks, in order, that may be trained."""
        return copy.deepcopy(self._modules)

    def modules_on(self, device: torch.device) -> list[nn.Module]:
        """The blocks for prediction on `device`: the backbone's own on the CPU, copies elsewhere."""
        if device.type == "cpu":
            return self._modules
        return [module.to(device) for module in self.copy_blocks()]

    def describe(self, **changes: Any) -> Backbone:
        """The same weights with another `name`, `inputs`, `source` or `provenance`."""
        unknown = set(changes) - {"name", "inputs", "source", "provenance"}
        if unknown:
            raise TypeError(f"Backbone.describe got {sorted(unknown)}; it changes name, inputs, source and provenance.")
        other = object.__new__(Backbone)
        fields = {key: changes.get(key, getattr(self, key)) for key in ("name", "inputs", "source", "provenance")}
        other._set(self.network, self.blocks, self._built, self.weights, self.layers, **fields)
        return other

    def changed(self, modules: Iterable[nn.Module]) -> list[bool]:
        """For each block, whether its weights in `modules` differ from the backbone's in any bit."""
        parts = zip(self.weights, modules, self._modules, strict=True)
        return [module is not own and not _equal(weights, module.state_dict()) for weights, module, own in parts]

    def with_blocks(
        self, modules: Iterable[nn.Module], changed: Sequence[bool], *, copied: bool = True, **fields: Any
    ) -> Backbone:
        """A backbone that takes from `modules` the blocks that `changed`, and shares the others with this one.

        Without `copied` it takes the modules themselves, which nobody may train any more. The field ``source`` may be a
        function that returns it.
        """
        import torch

        from sktransfer.backbones.blocks import weights_of

        other = object.__new__(Backbone)
        blocks, weights = list(self._modules), list(self.weights)
        for i, module in enumerate(modules):
            if changed[i]:
                block = copy.deepcopy(module) if copied else module
                blocks[i] = block.eval().requires_grad_(False).to("cpu", torch.float32)
                weights[i] = weights_of(blocks[i])
        other._set(self.network, self.blocks, blocks, weights, self.layers, **fields)
        return other

    @property
    def card(self) -> Card:
        """What one must know to use it: origin, inputs, scaling, range, classes, licence, limits; ``print`` it."""
        return card_of(self)

    def _repr_html_(self) -> str:
        return self.card._repr_html_()

    def __repr__(self) -> str:
        width = counted(self.n_features_in, "column") if self.n_features_in else "any number of columns"
        if self.inputs.shape is not None:
            width = " x ".join("any" if size is None else str(size) for size in self.inputs.shape)
        classes = None if self.source is None else self.source.classes
        known = "" if classes is None else f", {counted(len(classes), 'class', 'classes')}"
        blocks, features = counted(len(self.blocks), "block"), counted(self.n_features_out, "feature")
        return f"Backbone({self.name!r}, {blocks}, {width} -> {features}{known})"

    # shared, not copied: a grid search over a thousand candidates holds the weights once
    def __sklearn_clone__(self) -> Backbone:
        return self

    def __copy__(self) -> Backbone:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Backbone:
        return self

    def __getstate__(self) -> dict[str, Any]:
        return seal(self._described_state())

    def _described_state(self) -> dict[str, Any]:
        """What a file holds, and from which this backbone can be made again."""
        if self.network is None:
            raise TypeError(
                f"Backbone {self.name!r} wraps a network that cannot be named in a file. Register its class with "
                "register_network, or use an nn.Sequential of standard layers."
            )
        self.check_description()
        return self._state()

    def _state(self) -> dict[str, Any]:
        return {
            "format": STATE_FORMAT,
            "network": self.network,
            "blocks": list(self.blocks),
            "weights": list(self.weights),
            "name": self.name,
            "inputs": fields_of(self.inputs),
            "source": None if self.source is None else fields_of(self.source),
            "provenance": self.provenance,
        }

    def check_description(self) -> None:
        """Raise a ModelFileError if class, arguments and weights of the network would not make this backbone again."""
        if self._is_described:
            return
        state = self._state()
        other = object.__new__(Backbone)
        try:
            other._restore(state, is_trusted=True)
            reason = None
            if self._built is not None:
                from sktransfer.backbones.blocks import difference

                reason = difference(self._built, other._modules, self.blocks, self.inputs, self.prepare)
        except ModelFileError as error:
            reason = str(error)
        if reason is not None:
            raise ModelFileError(
                f"Backbone {self.name!r} cannot be stored, because another one would be loaded: {reason}. Make what "
                "was changed a layer of the network, or register a class that has it with register_network."
            )
        self._is_described = True

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._restore(unseal("Backbone", state), is_trusted=not is_untrusted())

    def _restore(self, state: dict[str, Any], *, is_trusted: bool) -> None:
        """Become the backbone of `state`; what its layers cost is looked at first unless the state is trusted."""
        if not isinstance(state.get("format"), int) or state["format"] > STATE_FORMAT:
            raise ModelFileError(
                f"This backbone was written in state format {state.get('format')!r}; this version reads up to "
                f"{STATE_FORMAT}. Upgrade sktransfer."
            )
        description, names = state["network"], tuple(state["blocks"])
        weights, modules = list(state["weights"]), None
        source = None if state["source"] is None else Source(**state["source"])
        limit: Any = nullcontext()
        try:
            inputs = inputs_of(state["inputs"])
            layers = layers_of(description, names)
            if layers is None or inputs.shape is not None or not all(map(fits, layers, weights)):
                # a network that only torch knows, or one that does not fit its weights: then this says so
                from sktransfer.backbones.blocks import build_blocks, layers_of_modules
                from sktransfer.backbones.work import limited_work

                modules = build_blocks(description, names, weights)
                layers = layers_of_modules(modules)
                limit = limit if is_trusted else limited_work(modules, inputs)
            with limit:
                fields = state["name"], inputs, source, state["provenance"]
                self._set(description, names, modules, weights, layers, *fields)
        except ModelFileError:
            raise
        except ValueError as error:
            raise ModelFileError(f"The parts of the backbone in this file do not fit together: {error}") from error
        self._is_described = True


def _copied(name: str, modules: list[nn.Module]) -> list[nn.Module]:
    try:
        return copy.deepcopy(modules)
    except RuntimeError as error:
        raise ValueError(
            f"Backbone {name!r}: torch cannot copy the network ({error}). Remove what computes weights from others, as "
            "torch.nn.utils.remove_weight_norm does, or use torch.nn.utils.parametrizations."
        ) from error


def _equal(weights: Mapping[str, np.ndarray], tensors: Mapping[str, torch.Tensor]) -> bool:
    return all(np.array_equal(weights[key], tensor.cpu().numpy(), equal_nan=True) for key, tensor in tensors.items())
