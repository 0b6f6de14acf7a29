"""Many networks of one shape as one: their weights stacked, their products batched.

::

    rows of a fold  --shared by its networks--> [first layer: ONE product, n_networks * width wide]
                                                       --> [(n_folds, n_networks, width, n_rows)] --> ... --> outputs

A *fold batch* is the networks of one fold and seed, which are fed the same rows in the same order. Fold batches x
networks of the same shape train side by side; nothing is shared between them but the arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from sktransfer.networks.head_modules import HeadModule, Standardize
from sktransfer.networks.transfer_module import TransferModule
from sktransfer.training.dropout import DROPOUTS, dropout_threshold

# Layers without weights that treat every number alone; they are used as they are.
_ELEMENTWISE = (nn.ReLU, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Tanh, nn.Sigmoid, nn.Softplus, nn.Identity)

RandomIntegers = Callable[[int, int], torch.Tensor]


def shapes_of(parts: Sequence[nn.Module]) -> tuple[Any, ...] | str:
    """`shape_of` parts of one network; a sentence that says why, if they cannot be stacked."""
    weights = [id(weight) for part in parts for _, weight in part.named_parameters(remove_duplicate=False)]
    if len(set(weights)) < len(weights):
        return "two layers of its network share weights"
    for layer in (layer for part in parts for layer in part.modules()):
        if _is_altered(layer):
            return f"a {type(layer).__name__} of its network carries hooks or another forward"
        if not list(layer.children()) and shape_of(layer) is None:
            return f"{layer!r} of its network cannot be stacked"
    shapes = tuple(shape_of(part) for part in parts)
    return "a part of its network is neither a known layer nor a plain nn.Sequential" if None in shapes else shapes


def _is_altered(layer: nn.Module) -> bool:
    """Whether calling the layer does more than its class says."""
    hooks = layer._forward_hooks, layer._forward_pre_hooks, layer._backward_hooks, layer._backward_pre_hooks
    return "forward" in vars(layer) or any(hooks)


def shape_of(module: nn.Module) -> tuple[Any, ...] | None:
    """What networks must have in common to be stacked; None if `module` cannot be.

    Dropout rates may differ; everything else must not.
    """
    if isinstance(module, HeadModule) or type(module) is nn.Sequential:
        shapes = tuple(shape_of(part) for part in module._modules.values() if part is not None)
        return None if None in shapes else shapes
    if type(module) is Standardize:
        return "standardize", tuple(module.mean.shape)
    if type(module) is nn.Linear:
        return "linear", tuple(module.weight.shape), module.bias is not None
    if type(module) is nn.BatchNorm1d and module.affine and module.track_running_stats and module.momentum is not None:
        return "batchnorm", module.num_features, module.eps, module.momentum
    if type(module) is nn.Dropout:
        return ("dropout",)
    if type(module) in _ELEMENTWISE:
        return "elementwise", repr(module)
    return None


class StackedNetwork:
    """Blocks from `start` on and heads of networks ``modules[fold batch][network]``, all of one shape.

    **Shape**

    - Input: ``(n_folds, n_rows, ...)``, the same for all networks of a fold batch
    - Output: ``(n_folds, n_networks, n_rows, n_outputs)``

    Parameters
    ----------
    modules : sequence of sequences of TransferModule
        Their blocks below `start` are not used. None of them is changed.
    start : int
        The first block that any of them trains.
    """

    def __init__(self, modules: Sequence[Sequence[TransferModule]], start: int):
        first = modules[0][0]
        self.size = len(modules), len(modules[0])
        self.keep_statistics = first.keep_statistics
        self.weights: dict[str, torch.Tensor] = {}  # learn; (n_folds, n_networks, *shape)
        self.buffers: dict[str, torch.Tensor] = {}  # running statistics
        self.depths: dict[str, int] = {}
        self.training = False
        self.random_integers: RandomIntegers = _no_random_integers
        self._constants: tuple[torch.Tensor, ...] = ()  # of the head, if they are one row a fold
        self._modules = [module for batch in modules for module in batch]
        self._positions = {id(m): i for i, m in enumerate(m for m in first.modules() if isinstance(m, DROPOUTS))}
        n_blocks = len(first.blocks)
        self._steps: list[list[Callable[[torch.Tensor], torch.Tensor]]] = []
        for number in range(start, n_blocks):
            self._depth = n_blocks - number
            self._steps.append(list(self._steps_of(f"blocks.{number}", first.names[number])))
        self._depth = 0
        head = list(self._steps_of("head", "head"))
        n_constant = int(isinstance(first.head, HeadModule))  # standardisation, which does not learn
        self._steps += [head[:n_constant], head[n_constant:]]
        self._start = start

    def standardized(self, x: torch.Tensor, start: int) -> tuple[torch.Tensor, int]:
        """What the head learns on, where all blocks are frozen: its constants apply to all rows at once.

        Parameters
        ----------
        x : tensor of shape (n_folds, n_rows, ...)
            What block `start` takes; changed in place.

        Returns
        -------
        x, start
            As they came, unless `start` is the head and its constants are one row a fold.
        """
        if start - self._start < len(self._steps) - 2 or not self._constants:
            return x, start
        mean, scale = self._constants
        return x.sub_(mean).div_(scale), start + 1

    def __call__(self, x: torch.Tensor, start: int) -> torch.Tensor:
        """Outputs for what block `start` takes."""
        for steps in self._steps[start - self._start :]:
            for step in steps:
                x = step(x)
        return self._spread(x).transpose(2, 3)

    def with_features(self, x: torch.Tensor, start: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Standardised features that the heads get, ``(n_folds, n_networks, n_rows, n_features)``, and outputs."""
        for steps in self._steps[start - self._start : -1]:
            for step in steps:
                x = step(x)
        features = self._spread(x)
        for step in self._steps[-1]:
            x = step(x)
        return features.transpose(2, 3), self._spread(x).transpose(2, 3)

    def _steps_of(self, path: str, name: str) -> Iterator[Callable[[torch.Tensor], torch.Tensor]]:
        """The steps of the networks' part at `path`, or of its parts; its weights are called by `name`."""
        layer = self._modules[0].get_submodule(path)
        if isinstance(layer, HeadModule | nn.Sequential):
            for part in layer._modules:  # named_children() leaves out a layer's second place
                yield from self._steps_of(f"{path}.{part}", f"{name}.{part}")
        else:
            yield self._step(layer, [module.get_submodule(path) for module in self._modules], name)

    def _step(self, layer: nn.Module, layers: list[Any], name: str) -> Callable[[torch.Tensor], torch.Tensor]:
        if isinstance(layer, nn.Linear):
            weight = self._learn(f"{name}.weight", [one.weight for one in layers])
            bias = None if layer.bias is None else self._learn(f"{name}.bias", [one.bias for one in layers])
            return lambda x: _linear(x, weight, bias)
        if isinstance(layer, Standardize):
            mean, scale = (self._constant([getattr(one, key) for one in layers]) for key in ("mean", "scale"))
            shared = mean.shape[1] == scale.shape[1] == 1
            self._constants = (mean, scale) if shared else ()
            return lambda x: _standardize(x, mean, scale, shared)
        if isinstance(layer, nn.BatchNorm1d):
            return self._batch_norm(layer, layers, name)
        if isinstance(layer, nn.Dropout):
            return self._dropout(self._positions[id(layer)], [one.p for one in layers])
        return layer

    def _learn(self, name: str, tensors: list[torch.Tensor]) -> torch.Tensor:
        self.weights[name] = self._stack(tensors).requires_grad_(True)
        self.depths[name] = self._depth
        return self.weights[name]

    def _stack(self, tensors: list[torch.Tensor]) -> torch.Tensor:
        return torch.stack([tensor.detach() for tensor in tensors]).view(*self.size, *tensors[0].shape)

    def _constant(self, tensors: list[torch.Tensor]) -> torch.Tensor:
        """Stacked constants, once a fold batch where its networks agree."""
        stacked = self._stack(tensors)
        first = stacked[:, :1]
        return first if torch.equal(stacked, first.expand_as(stacked)) else stacked

    def _batch_norm(self, layer: nn.BatchNorm1d, layers: list[Any], name: str) -> Any:
        weight = self._learn(f"{name}.weight", [one.weight for one in layers])
        bias = self._learn(f"{name}.bias", [one.bias for one in layers])
        for key in ("running_mean", "running_var", "num_batches_tracked"):
            self.buffers[f"{name}.{key}"] = self._stack([getattr(one, key) for one in layers])
        mean, var = self.buffers[f"{name}.running_mean"], self.buffers[f"{name}.running_var"]
        count = self.buffers[f"{name}.num_batches_tracked"]

        def step(x: torch.Tensor) -> torch.Tensor:
            by_statistics = not self.training or self.keep_statistics
            if not by_statistics:
                count.add_(1)
            # every network's channels beside each other: one call normalises all of them
            flat = self._spread(x).reshape(1, -1, x.shape[-1] if x.ndim == 4 else x.shape[1])
            flat = F.batch_norm(
                flat, mean.view(-1), var.view(-1), weight.reshape(-1), bias.reshape(-1), not by_statistics,
                layer.momentum or 0.0, layer.eps,
            )  # fmt: skip
            return flat.view(*self.size, layer.num_features, -1)

        return step

    def _dropout(self, position: int, rates: list[float]) -> Callable[[torch.Tensor], torch.Tensor]:
        device = next(iter(self._modules[0].parameters())).device
        different = sorted(set(rates))
        thresholds = [dropout_threshold(rate) if rate else (32_768, 1.0) for rate in different]
        # "at most" instead of "below", so that the limit of a rate of zero is a random integer, too
        limits = torch.tensor([max(limit - 1, -32_768) for limit, _ in thresholds], dtype=torch.int16, device=device)
        factors = torch.tensor([factor for _, factor in thresholds], dtype=torch.float64, device=device)
        limits, factors = limits.view(1, -1, 1, 1), factors.view(1, -1, 1, 1)
        which = torch.tensor([different.index(rate) for rate in rates], device=device).view(self.size)
        same_in_all = bool((which == which[:1]).all())

        def step(x: torch.Tensor) -> torch.Tensor:
            if not self.training or not any(rates):
                return x
            x = self._spread(x)
            drawn = self.random_integers(position, x.shape[2]).transpose(1, 2).contiguous().unsqueeze(1)
            # one mask for each rate, of shape (n_folds, n_rates, width, n_rows)
            masks = (drawn <= limits).to(x.dtype).mul_(factors.to(x.dtype))
            if same_in_all:
                return x * masks.index_select(1, which[0])
            folds = torch.arange(len(which), device=device)[:, None]
            return x * masks[folds, which]

        return step

    def _spread(self, x: torch.Tensor) -> torch.Tensor:
        """Of each network, rows as columns: (n_folds, n_networks, width, n_rows)."""
        return x if x.ndim == 4 else x.transpose(1, 2).unsqueeze(1).expand(-1, self.size[1], -1, -1)

    def state_of(self, fold: int, network: int) -> dict[str, torch.Tensor]:
        """Weights and running statistics of one network, by name, in tensors of their own."""
        return {name: tensor.detach()[fold, network].clone() for name, tensor in (self.weights | self.buffers).items()}


def _no_random_integers(position: int, width: int) -> torch.Tensor:
    raise RuntimeError("A stacked network in training mode needs random integers for its dropout.")


class _WideLinear(torch.autograd.Function):
    """``weight @ x.T + bias`` of all networks of a fold batch in one product, rows as columns.

    Every product has the memory layout that the next one takes, and the gradient that of the weights: nothing is
    copied.
    """

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        n_folds, n_networks, n_out, n_in = weight.shape
        ctx.save_for_backward(x, weight)
        wide = torch.bmm(weight.view(n_folds, n_networks * n_out, n_in), x.transpose(1, 2))
        if bias is not None:
            wide += bias.view(n_folds, -1, 1)
        return wide.view(n_folds, n_networks, n_out, -1)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        wide = gradient.reshape(x.shape[0], -1, x.shape[1])
        to_x = None
        if ctx.needs_input_grad[0]:
            to_x = torch.bmm(wide.transpose(1, 2), weight.view(x.shape[0], -1, x.shape[2]))
        to_bias = gradient.sum(dim=3) if ctx.needs_input_grad[2] else None
        return to_x, torch.bmm(wide, x).view(weight.shape), to_bias


def _linear(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    if x.ndim == 3:
        return _WideLinear.apply(x, weight, bias)
    networks, columns = weight.flatten(0, 1), x.flatten(0, 1)
    if bias is None:
        out = torch.bmm(networks, columns)
    else:
        out = torch.baddbmm(bias.flatten(0, 1).unsqueeze(2), networks, columns)
    return out.view(*x.shape[:2], *out.shape[1:])


def _standardize(x: torch.Tensor, mean: torch.Tensor, scale: torch.Tensor, shared: bool) -> torch.Tensor:
    if shared and x.ndim == 3:
        return (x - mean) / scale  # (n_folds, 1, width): one row for the rows of each fold
    x = x if x.ndim == 4 else x.transpose(1, 2).unsqueeze(1)
    return (x - mean.unsqueeze(3)) / scale.unsqueeze(3)


def pad(tensors: list[torch.Tensor]) -> torch.Tensor:
    """Stacked, with rows of zeros where one has fewer."""
    longest = max(len(one) for one in tensors)
    out = tensors[0].new_zeros((len(tensors), longest, *tensors[0].shape[1:]))
    for s, one in enumerate(tensors):
        out[s, : len(one)] = one
    return out
