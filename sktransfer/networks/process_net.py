r"""The network behind the shipped backbone "process": windows of scaled process tags, each tag by itself, then all.

::

    windows --> [tag: each tag by itself] -+-> [plant: mean and largest over tags] --> pooled features    ProcessNet
                                           +-> [tags: one tag after the other] ------> features by tag    TagNet
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from sktransfer.networks.registry import register_network

_SHORTEST = 16  # samples
_FLOOR = 0.02  # added to a root mean square before the logarithm, in healthy deviations


def multiscale_statistics(x: torch.Tensor, n_scales: int) -> torch.Tensor:
    """Level, trend and how much a signal moves at each scale.

    Differences of neighbouring means over 1, 2, 4, ... samples are the Haar wavelet transform without decimation:
    Percival & Walden, Wavelet Methods for Time Series Analysis (2000), doi 10.1017/CBO9780511841040.

    Parameters
    ----------
    x : Tensor of shape (n_signals, length)
        In healthy deviations.
    n_scales : int

    Returns
    -------
    Tensor of shape (n_signals, 5 + n_scales)
        Mean, last less first eighth, smallest and largest mean of eight, logarithm of the deviation; then the logarithm
        of the root mean square of each scale's differences, that of the longest scale that fits where one does not.
    """
    length = x.shape[1]
    eighth = max(length // 8, 1)
    coarse = functional.avg_pool1d(x[:, None], eighth)[:, 0]
    level = x.mean(dim=1)
    columns = [level, coarse[:, -1] - coarse[:, 0], coarse.amin(1), coarse.amax(1), _log_rms(x - level[:, None])]
    for scale in range(n_scales):
        width = 2**scale
        if 2 * width <= length:
            means = functional.avg_pool1d(x[:, None], width, stride=1)[:, 0]
            energy = _log_rms(means[:, width:] - means[:, :-width])
        columns.append(energy)
    return torch.stack(columns, dim=1)


def _log_rms(x: torch.Tensor) -> torch.Tensor:
    return torch.log(torch.sqrt((x * x).mean(dim=1)) + _FLOOR)


class _Tag(nn.Module):
    """Windows of each tag to features of each tag: statistics as they are, and what convolutions make of them."""

    def __init__(self, n_scales: int, width: int, n_code: int, n_tags: int | None = None):
        super().__init__()
        self.input_shape = (n_tags, None)
        self.n_scales = n_scales
        n_statistics = 5 + n_scales
        layers: list[nn.Module] = []
        sizes = (2, width // 2, width, width)
        for n_in, n_out, kernel in zip(sizes[:-1], sizes[1:], (7, 5, 5), strict=True):
            layers += [nn.Conv1d(n_in, n_out, kernel, stride=2, padding=kernel // 2, bias=False)]
            layers += [nn.BatchNorm1d(n_out), nn.ReLU()]
        self.shape = nn.Sequential(*layers)
        self.normalize = nn.BatchNorm1d(n_statistics)
        self.code = nn.Sequential(
            nn.Linear(2 * width + n_statistics, width), nn.ReLU(), nn.Linear(width, n_code, bias=False)
        )
        self.scale = nn.BatchNorm1d(n_code)

    def feature_statistics(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and deviation of each feature of a tag over the windows that BatchNorm was measured on."""
        layers = (self.normalize, self.scale)
        mean, scale = (torch.cat([getattr(layer, name).detach() for layer in layers]) for name in ("bias", "weight"))
        return mean.double().numpy(), scale.abs().double().numpy()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.ndim != 3 or x.shape[2] < _SHORTEST:
            raise ValueError(
                f"ProcessNet takes windows (n_windows, n_tags, length) of at least {_SHORTEST} samples, got "
                f"{tuple(x.shape)}. Cut longer windows."
            )
        n_tags = self.input_shape[0]
        if n_tags not in (None, x.shape[1]):
            raise ValueError(f"TagNet keeps {n_tags} tags apart and got windows of {x.shape[1]}. Select the same tags.")
        signals = x.reshape(-1, x.shape[-1])
        steps = functional.pad(signals[:, 1:] - signals[:, :-1], (1, 0))
        found = self.shape(torch.stack([signals, steps], dim=1))
        statistics = self.normalize(multiscale_statistics(signals, self.n_scales))
        code = self.scale(self.code(torch.cat([found.mean(dim=2), found.amax(dim=2), statistics], dim=1)))
        return torch.cat([statistics, code], dim=1).reshape(x.shape[0], x.shape[1], -1)


class _Plant(nn.Module):
    """Mean and largest value over tags, so that neither their number nor their order matters."""

    def __init__(self, n_in: int, width: int, n_features: int):
        super().__init__()
        self.each = nn.Sequential(nn.Linear(n_in, width), nn.ReLU())
        self.all = nn.Sequential(nn.Linear(2 * width, n_features, bias=False), nn.BatchNorm1d(n_features), nn.ReLU())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tags = self.each(x)
        return self.all(torch.cat([tags.mean(dim=1), tags.amax(dim=1)], dim=1))


@register_network("process")
class ProcessNet(nn.Module):
    """Features of windows of process tags that were scaled by their healthy rows.

    **Shape**

    - Input: ``(n_windows, n_channels, window_length)``, any number of tags in any order, at least 16 samples
    - Output: ``(n_windows, n_features)``; the block ``tag`` returns ``(n_windows, n_channels, 5 + n_scales + n_code)``

    Parameters
    ----------
    n_scales : int, default=6
        Scales of the statistics: 1, 2, 4, ... samples.
    width : int, default=64
        Filters of the last convolutions, and half the size of the hidden layer of the plant.
    n_code : int, default=16
        Learned features of each tag, beside its statistics.
    n_features : int, default=128
        Features of the plant.

    Raises
    ------
    ValueError
        In ``forward``, for windows of fewer than 16 samples.
    """

    by_channel = "process-tags"  # the network of the same weights that keeps channels apart

    def __init__(self, n_scales: int = 6, width: int = 64, n_code: int = 16, n_features: int = 128):
        super().__init__()
        self.tag = _Tag(n_scales, width, n_code)
        self.plant = _Plant(5 + n_scales + n_code, 2 * width, n_features)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Features of `x`."""
        return self.plant(self.tag(x))


class _Beside(nn.Module):
    """Features of each tag, tag after tag, and those of the plant after them."""

    def __init__(self, plant: nn.Module):
        super().__init__()
        self.plant = plant

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x.flatten(1), self.plant(x)], dim=1)


@register_network("process-tags")
class TagNet(nn.Module):
    """Features of each of a fixed set of process tags, one tag after the other.

    The block ``tag`` is that of :class:`ProcessNet`, and so are its weights.

    **Shape**

    - Input: ``(n_windows, n_features_in, window_length)``, the same tags in the same order, at least 16 samples
    - Output: ``(n_windows, n_features_in * (5 + n_scales + n_code))``, with `pooled` the ``n_features`` of the plant
      after them

    Parameters
    ----------
    n_features_in : int
        Number of tags.
    pooled : bool, default=False
        Whether the features of the plant, which have lost the tags, come beside those of the tags.
    n_scales, width, n_code, n_features : int
        As in :class:`ProcessNet`.

    Raises
    ------
    ValueError
        In ``forward``, for windows of fewer than 16 samples or of another number of tags.
    """

    def __init__(
        self,
        n_features_in: int,
        pooled: bool = False,
        n_scales: int = 6,
        width: int = 64,
        n_code: int = 16,
        n_features: int = 128,
    ):
        super().__init__()
        self.tag = _Tag(n_scales, width, n_code, n_features_in)
        self.tags = _Beside(_Plant(5 + n_scales + n_code, 2 * width, n_features)) if pooled else nn.Flatten()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Features of `x`."""
        return self.tags(self.tag(x))
