"""Networks that a file may name: nothing else is ever built from a file.

A saved backbone stores the name of its network and the arguments it was made with, never code. A plain
``nn.Sequential`` of layers that `layers.py` lists needs no registration: it is stored as the list of its layers.
"""

import functools
import inspect
import json
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import Any

import torch
from torch import nn

from sktransfer.networks.layers import DEEPEST, KINDS, LARGEST, LONGEST, MOST

_NETWORKS: dict[str, type[nn.Module]] = {}


class Permute(nn.Module):
    """The axes of a tensor in another order, as a layer.

    **Shape**

    - Input: any
    - Output: axis ``i`` is axis ``dims[i]`` of the input

    Parameters
    ----------
    dims : sequence of int
        The first is 0: samples stay samples.
    """

    def __init__(self, dims: Sequence[int]):
        super().__init__()
        self.dims = tuple(dims)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`x` with its axes reordered."""
        return x.permute(self.dims)


def _layer_class(kind: str) -> type[nn.Module]:
    return Permute if kind == "Permute" else getattr(nn, kind)


def register_network(name: str) -> Callable[[type[nn.Module]], type[nn.Module]]:
    """Class decorator that lets a saved backbone name this network.

    The class must be constructible from arguments that JSON can hold (numbers, text, lists). Its blocks must be
    submodules, each of which takes the output of the one before.

    Parameters
    ----------
    name : str
        What files will call the network. Registering the same class again is allowed, another class is not.

    Raises
    ------
    ValueError
        If `name` already belongs to another class, or the constructor takes ``*args`` or ``**kwargs``.

    Notes
    -----
    Register in a module that can be imported, not in ``__main__``: worker processes must know the name, too. Layers
    that draw random numbers should be ``nn.Dropout`` or ``nn.Dropout1d`` to ``3d``, which draw from the generator of
    the fit; others draw from torch's global one.

    Examples
    --------
    >>> from torch import nn
    >>> from sktransfer import Backbone, register_network
    >>> @register_network("pump-net")
    ... class PumpNet(nn.Module):
    ...     def __init__(self, n_features_in, width=16):
    ...         super().__init__()
    ...         self.lower = nn.Sequential(nn.Linear(n_features_in, width), nn.ReLU())
    ...         self.upper = nn.Sequential(nn.Linear(width, width), nn.ReLU())
    >>> Backbone(PumpNet(4), blocks=["lower", "upper"]).n_features_out
    16
    """

    def register(cls: type[nn.Module]) -> type[nn.Module]:
        if name == "sequential":
            raise ValueError("register_network: the name 'sequential' is that of a plain nn.Sequential.")
        known = _NETWORKS.get(name)
        if known is not None and (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
            raise ValueError(f"register_network: the name {name!r} already belongs to {known.__qualname__}.")
        init = cls.__init__
        signature = inspect.signature(init)
        if any(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in list(signature.parameters.values())[1:]):
            raise ValueError(
                f"register_network: {cls.__qualname__} must name the arguments of its constructor, without *."
            )

        @functools.wraps(init)
        def recording_init(self: nn.Module, *args: Any, **kwargs: Any) -> None:
            bound = signature.bind(self, *args, **kwargs)
            init(self, *args, **kwargs)
            arguments = dict(bound.arguments)
            arguments.pop(next(iter(arguments)))
            # a subclass records its own arguments after its parent did, so the outermost class wins
            self.__dict__["_network_arguments"] = arguments

        cls.__init__ = recording_init  # type: ignore[method-assign]
        _NETWORKS[name] = cls
        return cls

    return register


def describe_network(network: nn.Module) -> dict[str, Any] | None:
    """Name and arguments from which `build_network` makes this network again; None if it cannot be named."""
    for name, cls in _NETWORKS.items():
        if type(network) is cls and "_network_arguments" in network.__dict__:  # not if it is older than the name
            arguments = json.loads(json.dumps(network.__dict__["_network_arguments"], default=_plain_number))
            return {"name": name, "arguments": arguments}
    if type(network) is nn.Sequential:
        # not named_children, which leaves out a layer that occurs a second time
        layers = [describe_layer(key, child) for key, child in network._modules.items()]
        if all(layer is not None for layer in layers):
            return json.loads(json.dumps({"name": "sequential", "arguments": {"layers": layers}}))
    return None


def _plain_number(value: Any) -> Any:
    """Numpy's numbers as Python's; anything else cannot go into a file."""
    if not hasattr(value, "item"):
        raise TypeError(
            f"A network argument of type {type(value).__name__} cannot be stored; use numbers, text, lists."
        )
    return value.item()


def describe_layer(key: str, layer: nn.Module | None) -> list[Any] | None:
    """Entry of a description, ``[key, kind, arguments]``; None for a layer that is not in the table."""
    kind = type(layer).__name__
    if type(layer) is nn.Sequential:
        inner = [describe_layer(k, child) for k, child in layer._modules.items()]
        return None if any(item is None for item in inner) else [key, "Sequential", {"layers": inner}]
    if layer is None or kind not in KINDS or type(layer) is not _layer_class(kind):
        return None
    arguments: dict[str, Any] = {name: getattr(layer, name) for name in KINDS[kind].arguments}
    if "bias" in arguments:
        arguments["bias"] = layer.bias is not None
    return [key, kind, arguments]


def build_network(description: dict[str, Any]) -> nn.Module:
    """Make the network that `description` names, with the weights that its constructor draws.

    Raises
    ------
    ValueError
        If the name is unknown or an argument is out of bounds. Nothing is built before these checks.
    """
    name, arguments = description["name"], description["arguments"]
    if name != "sequential" and name not in _NETWORKS:
        near = get_close_matches(name, _NETWORKS, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(
            f"Unknown network {name!r}.{hint} Known are {sorted([*_NETWORKS, 'sequential'])}; import the module "
            "that registers it with register_network first."
        )
    _check_bounds(arguments)
    return add_layers(nn.Sequential(), arguments["layers"]) if name == "sequential" else _NETWORKS[name](**arguments)


def add_layers(network: nn.Sequential, layers: Sequence[Sequence[Any]]) -> nn.Sequential:
    """Add the layers described, entries ``[key, kind, arguments]``, to `network`, and return it."""
    for key, kind, arguments in layers:
        if kind == "Sequential":
            network.add_module(key, add_layers(nn.Sequential(), arguments["layers"]))
        elif kind in KINDS:
            network.add_module(key, _layer_class(kind)(**arguments))
        else:
            raise ValueError(f"Unknown layer {kind!r}; a stored nn.Sequential may hold {sorted(KINDS)}.")
    return network


def _check_bounds(value: Any, depth: int = 0) -> int:
    """Refuse numbers and lists that are too large, and return how many lists there are in `value`."""
    if isinstance(value, dict | list | tuple):
        if len(value) > LONGEST or depth > DEEPEST:
            raise ValueError(f"A network with {len(value)} parts at nesting {depth} is refused as too large.")
        n_lists = 1
        for item in value.values() if isinstance(value, dict) else value:
            n_lists += _check_bounds(item, depth + 1)
            if n_lists > MOST:
                raise ValueError(f"A network whose description holds more than {MOST} lists is refused as too large.")
        return n_lists
    if isinstance(value, int | float) and not abs(value) <= LARGEST:
        raise ValueError(f"A network argument of {value!r} is refused: the largest allowed is {LARGEST}.")
    return 0


def takes_width(name: str) -> bool:
    """Whether the constructor of this network asks for ``n_features_in``."""
    return name in _NETWORKS and "n_features_in" in inspect.signature(_NETWORKS[name].__init__).parameters


def keeps_channels(description: dict[str, Any] | None, pooled: bool, n_channels: int) -> dict[str, Any] | None:
    """Description of the network that keeps channels apart where `description` pools them; None if there is none.

    A registered class names it by its own attribute ``by_channel``, which a subclass does not inherit. It takes the
    same arguments, ``n_features_in`` and ``pooled``: whether the pooled features come beside those of the channels.
    """
    cls = None if description is None else _NETWORKS.get(description["name"])
    if description is None or cls is None or "by_channel" not in vars(cls):
        return None
    arguments = {**description["arguments"], "n_features_in": n_channels, "pooled": pooled}
    return {"name": vars(cls)["by_channel"], "arguments": arguments}


def channels_kept(description: dict[str, Any] | None) -> str | None:
    """What a network of :func:`keeps_channels` returns, ``"tag"`` or ``"both"``; None for any other network."""
    kept = {vars(cls).get("by_channel") for cls in _NETWORKS.values()} - {None}
    if description is None or description["name"] not in kept:
        return None
    return "both" if description["arguments"].get("pooled") else "tag"


def build_empty(description: dict[str, Any]) -> nn.Module:
    """`build_network` without memory for the weights, to compare shapes before anything is allocated."""
    with torch.device("meta"):
        return build_network(description)
