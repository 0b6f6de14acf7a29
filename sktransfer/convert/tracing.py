"""A torch module as blocks: traced by torch.fx, then read from its output back to its input.

::

    forward() --torch.fx--> x -> conv -> relu -> view -> fc -> output      each step takes the one before: a chain
    chain --> [conv, nn.ReLU(), nn.Flatten()] -> [fc]                      a function is a layer of the block before

A step that takes two earlier ones is a branch, and is refused. A submodule that ``forward`` calls is one step, whatever
it does inside.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import fx, nn

from sktransfer.backbones.alterations import refuse_lost
from sktransfer.backbones.blocks import describe_network, find_blocks, read_inputs
from sktransfer.backbones.inputs import Inputs
from sktransfer.convert.torch_functions import convert_function, function_name, read_size
from sktransfer.networks.registry import Permute
from sktransfer.utils.counted_warnings import warn_caller
from sktransfer.utils.locks import ForkableLock

_NORMALISATION = (nn.modules.batchnorm._BatchNorm, nn.LayerNorm, nn.GroupNorm, nn.modules.instancenorm._InstanceNorm)
# torch.fx replaces methods of nn.Module, for all threads, while it traces: a fork waits for their return
_TRACING = ForkableLock(awaited=True)

Call = tuple[str, nn.Module]
Named = Mapping[str, nn.Module]


def trace_blocks(
    module: nn.Module, names: Sequence[str] | None, inputs: Inputs
) -> tuple[nn.Module | None, list[Call], Inputs]:
    """Named blocks of a module, one after the other, and what the first of them takes.

    The first of the three results is the module itself if its own submodules are the blocks and its class is known by
    `register_network`, and None otherwise.

    Raises
    ------
    ValueError
        If no layers, one after the other, compute what the module does. The message says which step is none.
    """
    named = dict(zip(names, find_blocks(module, names), strict=True)) if names is not None else {}
    refuse_lost("from_module", module, list(named))
    if names is None and type(module) is nn.Sequential:
        calls = list(module._modules.items())
    else:
        graph = _trace(module, named)
        calls = list(named.items()) if graph is None else _calls(module, _path(module, graph, named), named)
    if not calls:
        raise ValueError(f"from_module: {type(module).__name__} has no layers, so there is nothing to transfer.")
    inputs = _inputs_of(module, calls, inputs)
    is_registered = (describe_network(module) or {}).get("name") not in (None, "sequential")
    if is_registered and {part for _, part in calls} <= set(module.modules()):
        return module, calls, inputs
    return None, _group(calls, named), inputs


# ---- the graph


class _Whole(nn.Module):
    """Calls a module with one tensor, so that other arguments of its ``forward`` have their defaults."""

    def __init__(self, module: nn.Module):
        super().__init__()
        self.module = module

    def forward(self, x: Any) -> Any:
        return self.module(x)


class _Tracer(fx.Tracer):
    """Follows the ``forward`` of the modules whose names are `opened`; every other submodule is one step."""

    def __init__(self, opened: set[str]):
        super().__init__()
        self.opened = opened

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return module_qualified_name not in self.opened

    def call_module(self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: Any) -> Any:
        if m not in (self.submodule_paths or {}):  # made in forward(), or run by another thread meanwhile
            return forward(*args, **kwargs)
        return super().call_module(m, forward, args, kwargs)


def _trace(module: nn.Module, named: Named) -> fx.Graph | None:
    """The calls of ``forward`` in inference mode; None if torch cannot trace them and the blocks are named."""
    failure = f"from_module: torch.fx cannot trace {type(module).__name__}.forward()"
    steps = [f"module.{name}".split(".") for name in named]
    around = {".".join(path[:depth]) for path in steps for depth in range(1, len(path))}
    try:
        whole = copy.deepcopy(_Whole(module)).eval()  # a copy, because forward() may set attributes
        with _TRACING:
            return _Tracer({"module"} | around - {f"module.{name}" for name in named}).trace(whole)
    except Exception as error:  # whatever the author's forward() raises for torch.fx's stand-in for a tensor
        if not named:
            raise ValueError(
                f"{failure} ({error}). Name the blocks, in the order in which they run: blocks=['conv1', ...]."
            ) from error
        warn_caller(
            f"{failure} ({error}), so the blocks are taken as they are named. Check that each one takes what the one "
            "before returns.",
            UserWarning,
        )
        return None


def _path(module: nn.Module, graph: fx.Graph, named: Named) -> list[fx.Node]:
    """The steps from the input to the output, or to the last of the named blocks.

    Raises
    ------
    ValueError
        If a step takes anything but one earlier step, or something beside the path may change its tensors.
    """
    forward, nodes = f"from_module: {type(module).__name__}.forward()", list(graph.nodes)
    last: Any = nodes[-1].args[0]
    if named:
        blocks = [node for node in nodes if node.op == "call_module" and _part(module, node) in named.values()]
        if not blocks:
            raise ValueError(f"{forward} calls none of the blocks {list(named)}. Name submodules that it does call.")
        last = blocks[-1]
    if not isinstance(last, fx.Node):
        raise ValueError(f"{forward} returns more than one tensor. Name the blocks up to the features: blocks=[...].")
    path, node = [], last
    while node.op != "placeholder":
        sources = [source for source in node.all_input_nodes if read_size(source) is None]
        if len(sources) != 1:
            raise ValueError(
                f"{forward} is no single path: {_label(node)} takes {' and '.join(map(_label, sources)) or 'nothing'}. "
                "Put the branches into one submodule, which is then one block, or name blocks below them: blocks=[...]."
            )
        path.append(node)
        node = sources[0]
    for node in nodes[: nodes.index(last) if named else -1]:
        is_beside = node.op != "placeholder" and node not in path and read_size(node) is None
        if is_beside and (not node.users or _is_in_place(module, node)):
            raise ValueError(
                f"{forward} applies {_label(node)} beside the path through its blocks, where it may change a tensor in "
                "place. Use what it returns, or take it out."
            )
    return path[::-1]


def _name(node: fx.Node) -> str:
    """Name of a submodule or parameter, as the module's author sees it."""
    return str(node.target).removeprefix("module.")


def _part(module: nn.Module, node: fx.Node) -> nn.Module:
    return module.get_submodule(_name(node))


def _is_in_place(module: nn.Module, node: fx.Node) -> bool:
    """Whether a step may write its result over the tensor that it takes."""
    if node.op == "call_module":
        return any(getattr(layer, "inplace", False) for layer in _part(module, node).modules())
    name = getattr(node.target, "__name__", str(node.target))  # of a function, or a method
    return node.op != "get_attr" and (name.endswith("_") or node.kwargs.get("inplace") is True)


def _label(node: fx.Node) -> str:
    """A step in the words of the module's author."""
    if node.op in ("call_module", "get_attr"):
        return repr(_name(node))
    if node.op == "placeholder":
        return "the input"
    options = [str(value) for value in node.args[1:] if not isinstance(value, fx.Node)]
    options += [f"{key}={value}" for key, value in node.kwargs.items()]
    return f"{function_name(node) or node.name}({', '.join(options)})"


# ---- its steps as layers


def _calls(module: nn.Module, path: Sequence[fx.Node], named: Named) -> list[Call]:
    """Name and layer of each step.

    Raises
    ------
    ValueError
        If a function is no layer, a submodule gets more than one tensor, a submodule with weights runs twice, or the
        steps are not the named blocks in their order.
    """
    forward = f"from_module: {type(module).__name__}.forward()"
    calls: list[Call] = []
    before = "the input"
    for position, node in enumerate(path, start=1):
        layers = _layers(module, node, [layer for _, layer in calls], named)
        if layers is None:
            behind = next((_label(other) for other in path[position:] if other.op == "call_module"), "the output")
            raise ValueError(
                f"{forward} applies {_label(node)} between {before} and {behind}, which is neither a block nor a "
                "function that a layer can replace. Make it a submodule, or name other blocks: blocks=[...]."
            )
        if layers:
            part = layers[0] if len(layers) == 1 else nn.Sequential(*layers)
            name = _name(node) if node.op == "call_module" else node.name
            calls.append((next((key for key, block in named.items() if block is part), name), part))
        before = _label(node) if node.op == "call_module" else before
    ran = [name for name, part in calls if (part in named.values() if named else part.state_dict())]
    twice = next((name for name in ran if sum(f"{other}.".startswith(f"{name}.") for other in ran) > 1), None)
    if twice is not None:
        raise ValueError(f"{forward} uses {twice!r} more than once, and a block runs once. Give it two layers.")
    if named and ran != list(named):
        raise ValueError(f"{forward} runs the blocks {list(named)} in the order {ran}. Name them so.")
    return calls


def _layers(module: nn.Module, node: fx.Node, before: Sequence[nn.Module], named: Named) -> list[nn.Module] | None:
    """The submodule that a step calls with one tensor, or the layers that do what its function does."""
    if node.op != "call_module":
        return convert_function(node, before)
    part, arguments = _part(module, node), (*node.args, *node.kwargs.values())
    is_block = not named or part in named.values()
    return [part] if is_block and len(arguments) == 1 and isinstance(arguments[0], fx.Node) else None


def _group(calls: Sequence[Call], named: Named) -> list[Call]:
    """Blocks of the steps: each begins with a named block, or with a layer with weights if no blocks are named.

    Functions, layers without weights and normalisation belong to the block before them. Steps before the first block
    belong to that block.
    """

    def counts(part: nn.Module) -> bool:
        return part in named.values() if named else any(True for _ in part.parameters())

    groups: list[list[Call]] = []
    for name, part in calls:
        begins = counts(part) and (bool(named) or not isinstance(part, _NORMALISATION))
        if not groups or (begins and any(counts(other) for _, other in groups[-1])):
            groups.append([])
        groups[-1].append((name, part))
    blocks = []
    for group in groups:
        name = next((name for name, part in group if counts(part)), group[0][0])
        blocks.append((name, group[0][1] if len(group) == 1 else nn.Sequential(*(part for _, part in group))))
    return blocks


def _inputs_of(module: nn.Module, calls: Sequence[Call], inputs: Inputs) -> Inputs:
    """`inputs` with the columns or channels that the first convolution takes, or else the first linear layer."""
    if hasattr(module, "input_shape"):
        return read_inputs([module], inputs)
    found = (layer for _, part in calls for layer in part.modules())
    # layers behind one that moves the axes do not tell what the network takes
    layers = list(itertools.takewhile(lambda layer: not isinstance(layer, nn.Unflatten | Permute), found))
    telling = [layer for kind in (nn.Conv2d, nn.Conv1d, nn.Linear) for layer in layers if isinstance(layer, kind)]
    return read_inputs(telling, inputs) if telling else inputs
