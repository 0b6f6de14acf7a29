"""What a network does beside what its class, arguments and weights say: hooks, a `forward` of its own, other layers.

A file names a network by its class and arguments. What was changed on the object afterwards is not in it, and the
network that is made from the file would return something else. So it is found and refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

_HOOKS = {"_forward_hooks": "a forward hook", "_forward_pre_hooks": "a forward pre-hook"}


def is_altered(layer: nn.Module) -> bool:
    """Whether calling the layer does more than its class says."""
    return bool(_alterations(layer))


def _alterations(layer: nn.Module) -> list[tuple[str, Any]]:
    """Kind of each alteration, and the code behind it: equal where a constructor made the same one again."""
    found = [("a forward of its own", layer.__dict__["forward"])] if "forward" in layer.__dict__ else []
    for attribute, kind in _HOOKS.items():
        found += [(kind, hook) for hook in getattr(layer, attribute).values()]
    return [(kind, _code(function)) for kind, function in found]


def _code(function: Any) -> Any:
    inner = getattr(function, "func", getattr(function, "__func__", function))  # of a partial, of a method
    return getattr(inner, "__code__", type(inner))


def refuse_lost(who: str, network: nn.Module, names: Sequence[str]) -> None:
    """Raise a ValueError if something runs around the blocks `names` when `network` is called, as hooks on it do."""
    around = {""} | {name.rpartition(".")[0] for name in names}
    around |= {".".join(name.split(".")[:depth]) for name in around for depth in range(1, name.count(".") + 1)}
    for name in sorted(around):
        container = network.get_submodule(name)
        own = [kind for kind, _ in _alterations(container)]
        if type(container) is not nn.Sequential:
            own = [kind for kind in own if kind != "a forward of its own"]  # compared with the blocks, or not asked
        if own:
            what = f"submodule {name!r}" if name else f"the network, a {type(container).__name__},"
            raise ValueError(
                f"{who}: {what} carries {own[0]}, which is part of no block and would be lost. Remove it, or make it a "
                "layer of a block."
            )


def other_layer(modules: Sequence[nn.Module], again: Sequence[nn.Module], names: Sequence[str]) -> str | None:
    """Which layer differs from that which the description makes again, and in what; None if none does."""
    for block, own, other in zip(names, modules, again, strict=True):
        found, expected = dict(own.named_modules()), dict(other.named_modules())
        for key in [*found, *(expected.keys() - found.keys())]:
            name = f"{block}.{key}" if key else block
            if key not in found or key not in expected or type(found[key]) is not type(expected[key]):
                return f"layer {name!r} is another than the constructor of the network makes"
            if (altered := _alterations(found[key])) != _alterations(expected[key]):
                return f"layer {name!r} carries {altered[0][0] if altered else 'no hook, and its class gives it one'}"
            if found[key].extra_repr() != expected[key].extra_repr():
                return f"layer {name!r}, {found[key]!r}, was changed after the network was made"
    return None
