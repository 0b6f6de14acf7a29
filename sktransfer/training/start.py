r"""What a fit begins with, and how its head begins: where the source ended.

::

    features of the rows --> standardised --> head rows: source's by class name | imprinted | zero
                                          \-> solved exactly, pulled to those rows
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from sktransfer.backbones.backbone import Backbone
from sktransfer.backbones.source import Source, feature_statistics
from sktransfer.networks.head_modules import HeadModule
from sktransfer.networks.heads import LinearHead
from sktransfer.networks.transfer_module import TransferModule
from sktransfer.strategies.base import HeadSolver, Strategy
from sktransfer.training.frozen_features import FrozenFeatures
from sktransfer.training.rows import TrainingRows
from sktransfer.training.tasks import Classification, Regression
from sktransfer.utils.chunks import in_chunks
from sktransfer.utils.parameters import InvalidParameterError

_IGNORED = 1e30  # scale of a feature that the head must not use: what it divides is nothing, in solving and in tuning


@dataclass
class Assembly:
    """What a fit begins with, parameters resolved."""

    backbone: Backbone
    strategy: Strategy
    head: Any
    module: TransferModule
    scratch: bool
    seed: int
    frozen: FrozenFeatures
    features: Any = None  # ndarray, standardised, where the head begins from them

    @property
    def solvable(self) -> bool:
        """Whether the strategy asks for a solved head and the head can be solved."""
        return is_solvable(self.strategy, self.head)

    def run_features(self) -> np.ndarray:
        """Features of the rows by the blocks as they came, float64, in an array that nobody else holds."""
        module, n_blocks = self.module, len(self.module.blocks)
        if not self.frozen.fits(module, n_blocks):
            return module.run_features(self.frozen.X).astype(np.float64, copy=False)
        return self.frozen.after(module, n_blocks, module.device).cpu().numpy().astype(np.float64)

    def outputs(self, rows: FrozenFeatures) -> np.ndarray:
        """Outputs of the head on what the frozen blocks return for these rows, float64."""
        module = self.module
        with torch.inference_mode():
            features = rows.after(module, len(module.blocks), module.device)
            return np.concatenate([module.head(features[part]).double().cpu() for part in in_chunks(len(features))])


def is_solvable(strategy: Strategy, head: Any) -> bool:
    """Whether `strategy` asks for a solved head and `head` can be solved."""
    return strategy.head_solver() is not None and isinstance(head, LinearHead)


def begin_head(assembly: Assembly, rows: TrainingRows, task: Classification | Regression) -> None:
    """Set the head's standardisation and the rows it begins with."""
    network = assembly.module.head
    init, normalize = check_head(assembly)
    needs_features = normalize == "target" or assembly.solvable or init in ("auto", "source", "imprint")
    features = assembly.run_features() if needs_features else None
    width = network.standardize.mean.numel()
    mean, scale = np.zeros(width), np.ones(width)
    if normalize == "source" and assembly.backbone.source is not None:
        mean, scale = assembly.backbone.source.feature_mean, assembly.backbone.source.feature_scale
    elif normalize == "target" and features is not None:
        mean, scale = feature_statistics(features, rows.weight)
    if isinstance(assembly.head, LinearHead):
        scale = np.where(task.ignored(init, assembly.backbone.source, width), _IGNORED, scale)
    _assign(network.standardize.mean, mean)
    _assign(network.standardize.scale, scale)
    if features is not None:
        # in place: there may be many rows
        features -= mean
        features /= scale
        assembly.features = features
    if init in ("auto", "source", "imprint"):
        W, b = task.begin(init, _source_on(assembly), assembly.features, rows)
        _assign(network.output.weight, W)
        _assign(network.output.bias, b)
        return
    _assign(network.output.bias, task.prior(rows))
    if init == "zero":
        _assign(network.output.weight, np.zeros(network.output.weight.shape))


def check_head(assembly: Assembly) -> tuple[str, str]:
    """How the head begins and by what it standardises, with ``"auto"`` resolved.

    Raises
    ------
    InvalidParameterError
        For other words than the allowed ones.
    ValueError
        If the source's statistics are asked for and there are none.
    """
    head, source = assembly.head, assembly.backbone.source
    # hidden layers make the source's rows meaningless; zero rows decide nothing where there is nothing to learn from
    init = getattr(head, "init", None)
    if init is not None:
        _check_word(head, "init", init, ("auto", "source", "imprint", "random"))
    _check_word(head, "normalize", head.normalize, ("auto", "source", "target", "none"))
    if init is None or (init == "auto" and assembly.scratch):
        init = "zero"
    normalize = head.normalize
    if normalize == "auto" and assembly.scratch:
        normalize = "target" if assembly.solvable else "none"
    elif normalize == "auto":
        normalize = "source" if source is not None else "target"
    if normalize == "source" and source is None:
        raise ValueError(
            f"{type(head).__name__}(normalize='source'): backbone {assembly.backbone.name!r} carries no feature "
            "statistics; use normalize='auto'."
        )
    return init, normalize


def _check_word(head: Any, name: str, value: Any, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        words = ", ".join(repr(word) for word in allowed)
        raise InvalidParameterError(
            f"The {name!r} parameter of {type(head).__name__} must be one of {words}. Got {value!r} instead."
        )


def solve_head(
    assembly: Assembly, rows: TrainingRows, task: Classification | Regression, head_solver: HeadSolver
) -> dict[str, Any]:
    """Solve a linear head on the frozen features; the record that goes into the history."""
    output, init = assembly.module.head.output, check_head(assembly)[0]
    solution = task.solve(init, _source_on(assembly), assembly.features, rows, head_solver)
    _assign(output.weight, solution.weight)
    _assign(output.bias, solution.bias)
    return {"alpha": solution.alpha, "temperature": solution.temperature, "n_iter": solution.n_iter}


def source_weights(assembly: Assembly, task: Classification | Regression) -> dict[str, torch.Tensor]:
    """Weights that came from the source, by parameter name; NaN in rows of the head that the source did not know."""
    source = {n: v.detach().clone() for depth, group in assembly.module.groups() if depth > 0 for n, v in group.items()}
    if isinstance(assembly.head, LinearHead):
        output = assembly.module.head.output
        W, b, known = task.source_rows(check_head(assembly)[0], _source_on(assembly), output.in_features)
        W[~known], b[~known] = np.nan, np.nan
        for name, value in (("head.output.weight", W), ("head.output.bias", b)):
            source[name] = torch.as_tensor(value, dtype=output.weight.dtype, device=assembly.module.device)
    return source


def source_of(assembly: Assembly, rows: TrainingRows, task: Classification | Regression, *, moved: bool) -> Source:
    """What the next fit may know of this one: feature statistics and, of a linear head, its rows.

    Statistics are measured again if the blocks moved and there are at least twice as many rows as features; fewer
    rows measure worse than the source did.
    """
    head, before = assembly.module.head, assembly.backbone.source
    mean, scale = _constants(head)
    ignored = scale > _IGNORED / 2
    if before is not None:
        scale = np.where(ignored, before.feature_scale, scale)
    if isinstance(assembly.head, LinearHead):
        W, b = np.where(ignored, 0.0, _numpy(head.output.weight)), _numpy(head.output.bias)
        source = Source(mean, scale, **task.source_head(W, b))
    else:
        source = Source(mean, scale)
    enough = moved and len(rows.X) >= 2 * len(mean)
    if check_head(assembly)[1] != "none" and not enough:
        return source
    features = assembly.module.run_features(rows.X).astype(np.float64, copy=False)
    return source.rescaled(*feature_statistics(features, rows.weight))


def _source_on(assembly: Assembly) -> Source | None:
    """The source head on features standardised as this fit's head standardises them."""
    source = assembly.backbone.source
    return None if source is None else source.rescaled(*_constants(assembly.module.head))


def _constants(head: HeadModule) -> tuple[np.ndarray, np.ndarray]:
    return _numpy(head.standardize.mean), _numpy(head.standardize.scale)


def _numpy(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().cpu().double().numpy()


def _assign(tensor: torch.Tensor, values: np.ndarray) -> None:
    with torch.no_grad():
        tensor.copy_(torch.from_numpy(np.array(values)))
