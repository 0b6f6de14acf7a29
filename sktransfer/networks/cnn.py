r"""The network for windows of signals.

::

    (n, channels, L) -> [conv, stride] -> [residual] -> [residual, mean and max over time] -> features
                          block1            block2        block3

With ``shared_channels`` every channel takes the same way, and mean and max over channels come last.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from sktransfer.networks.registry import register_network
from sktransfer.utils.parameters import InvalidParameterError, check_dropout, check_sizes, is_whole

_CHOICES = ((7, 4), (7, 2), (5, 2), (3, 2), (3, 1))  # kernel_size and strides, from long windows to short ones


@register_network("cnn")
class CNN(nn.Sequential):
    """Residual convolutions along time, then mean and maximum over time.

    Each block divides the length by its stride. A residual block is two convolutions with BatchNorm; its input,
    averaged over the stride, is added before the last ReLU (He et al. 2016, doi:10.1109/CVPR.2016.90; NOTE[DIFF]:
    averaged, where the paper keeps one sample of a stride and drops the others).

    **Shape**

    - Input: ``(n_windows, n_features_in, length)`` with a length of at least ``receptive_field`` samples
    - Output: ``(n_windows, 2 * widths[-1])``, or ``(n_windows, 4 * widths[-1])`` with `shared_channels`

    Parameters
    ----------
    n_features_in : int or None
        Number of channels. With `shared_channels` it is not used, and may be None.
    widths : sequence of int, default=(32, 64, 128)
        Number of filters of each block.
    kernel_size : int, default=7
        Samples under a filter, odd.
    strides : int or sequence of int, default=4
        By how much each block, or each of them, shortens the window.
    dropout : float, default=0.0
        Share of a block's filters set to zero in training, in [0, 1).
    shared_channels : bool, default=False
        Whether every channel goes through the same filters, so that the channels may come in any order and number.

    Raises
    ------
    ValueError
        If a parameter is out of its range; in ``forward``, for windows shorter than `receptive_field` or of another
        number of channels.

    Examples
    --------
    >>> import torch
    >>> from sktransfer import CNN
    >>> net = CNN(2, widths=(8, 16))
    >>> net.block_names, net.receptive_field
    (['block1', 'block2'], 127)
    >>> net(torch.randn(5, 2, 1000)).shape
    torch.Size([5, 32])
    """

    def __init__(
        self,
        n_features_in: int | None,
        widths: Sequence[int] = (32, 64, 128),
        kernel_size: int = 7,
        strides: int | Sequence[int] = 4,
        dropout: float = 0.0,
        shared_channels: bool = False,
    ):
        super().__init__()
        check_sizes("CNN", widths, "widths")
        steps = [strides] * len(widths) if isinstance(strides, int) else strides
        _check(n_features_in, widths, kernel_size, steps, dropout, shared_channels)
        self.receptive_field = receptive_field(kernel_size, steps)
        n_channels = None if shared_channels else n_features_in
        width = n_channels or 1
        for depth, (size, step) in enumerate(zip(widths, steps, strict=True), start=1):
            layers = _Convolution if depth == 1 else _Residual
            block = _Block(layers(width, size, kernel_size, step), dropout, shared_channels, depth == len(widths))
            if depth == 1:
                block.input_shape, block.shortest = (n_channels, None), self.receptive_field
            self.add_module(f"block{depth}", block)
            width = size

    @property
    def block_names(self) -> list[str]:
        """Names of the blocks, counted from the input."""
        return list(self._modules)


def for_length(length: int, arguments: dict[str, Any]) -> dict[str, Any]:
    """`arguments` with the largest ``kernel_size`` and ``strides``, where not given, that windows allow.

    Windows of 11 samples are enough for the smallest choice of three blocks.
    """
    depth = len(arguments.get("widths", (32, 64, 128)))
    for kernel_size, stride in _CHOICES:
        chosen = {"kernel_size": kernel_size, "strides": stride} | arguments
        strides = chosen["strides"]
        if receptive_field(chosen["kernel_size"], [strides] * depth if isinstance(strides, int) else strides) <= length:
            return chosen
    return {"kernel_size": _CHOICES[-1][0], "strides": _CHOICES[-1][1]} | arguments


def receptive_field(kernel_size: int, strides: Sequence[int]) -> int:
    """Samples that one value before the pooling sees, and the length of the shortest window."""
    field, apart = 1, 1  # samples; samples between neighbours
    for depth, stride in enumerate(strides):
        field, apart = field + (kernel_size - 1) * apart, apart * stride
        if depth:
            field += (kernel_size - 1) * apart
    return field


def _check(
    n_features_in: int | None,
    widths: Sequence[int],
    kernel_size: int,
    strides: Sequence[int],
    dropout: float,
    shared: bool,
) -> None:
    check_dropout("CNN", dropout)
    if not (is_whole(kernel_size) and kernel_size > 0 and kernel_size % 2):
        raise InvalidParameterError(
            f"The 'kernel_size' parameter of CNN must be an odd whole number of at least 1. Got {kernel_size!r} "
            "instead."
        )
    check_sizes("CNN", strides, "strides")
    if len(strides) != len(widths):
        raise InvalidParameterError(
            f"The 'strides' parameter of CNN must be one whole number, or one for each of the {len(widths)} widths. "
            f"Got {len(strides)} instead."
        )
    if n_features_in is None and not shared:
        raise InvalidParameterError("CNN: n_features_in=None, any number of channels, needs shared_channels=True.")


class _Block(nn.Module):
    """Layers over windows, dropout, and pooling at the end; with shared channels the input keeps them on axis 1.

    Between blocks an output is (n, filters, length), or (n, channels, filters, length) where channels are shared.
    """

    input_shape: tuple[int | None, None] | None = None  # of a window, where this is the first block
    shortest: int = 1  # samples

    def __init__(self, layers: nn.Module, dropout: float, shared: bool, last: bool):
        super().__init__()
        self.layers, self.dropout = layers, nn.Dropout1d(dropout)
        self.shared, self.last = shared, last

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.input_shape is not None:
            _check_windows(x, self.input_shape[0], self.shortest)
        if not self.shared:
            x = self.dropout(self.layers(x))
            return _mean_and_max(x, -1) if self.last else x
        n_windows, n_channels = x.shape[:2]
        x = x.reshape(n_windows * n_channels, *(x.shape[2:] if x.ndim == 4 else (1, x.shape[2])))
        x = self.dropout(self.layers(x))
        if self.last:
            return _mean_and_max(_mean_and_max(x, -1).unflatten(0, (n_windows, n_channels)), 1)
        return x.unflatten(0, (n_windows, n_channels))


def _check_windows(x: torch.Tensor, n_channels: int | None, shortest: int) -> None:
    if x.ndim != 3 or n_channels not in (None, x.shape[1]):
        known = "n_channels" if n_channels is None else n_channels
        raise ValueError(f"CNN takes windows of shape (n_windows, {known}, length), got {tuple(x.shape)}.")
    if x.shape[2] < shortest:
        raise ValueError(
            f"CNN takes windows of at least {shortest} samples, its receptive field; got windows of {x.shape[2]}. Cut "
            "longer windows, or use a network with a smaller kernel_size or smaller strides."
        )


def _mean_and_max(x: torch.Tensor, axis: int) -> torch.Tensor:
    return torch.cat([x.mean(axis), x.amax(axis)], dim=-1)


class _Convolution(nn.Sequential):
    """The first block: it turns channels into filters."""

    def __init__(self, n_in: int, n_out: int, kernel_size: int, stride: int):
        super().__init__(*_convolve(n_in, n_out, kernel_size, stride), nn.ReLU(inplace=True))


class _Residual(nn.Module):
    def __init__(self, n_in: int, n_out: int, kernel_size: int, stride: int):
        super().__init__()
        self.change = nn.Sequential(
            *_convolve(n_in, n_out, kernel_size, stride),
            nn.ReLU(inplace=True),
            *_convolve(n_out, n_out, kernel_size, 1),
        )
        # the last, shorter mean is over the samples that there are
        average = nn.AvgPool1d(stride, ceil_mode=True) if stride > 1 else nn.Identity()
        self.short = nn.Sequential(average, *(_convolve(n_in, n_out, 1, 1) if n_in != n_out else ()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu_(self.change(x).add_(self.short(x)))


def _convolve(n_in: int, n_out: int, kernel_size: int, stride: int) -> tuple[nn.Module, nn.Module]:
    """Convolution that keeps the length but for the stride, and BatchNorm, which takes any bias out again."""
    convolution = nn.Conv1d(n_in, n_out, kernel_size, stride, padding=kernel_size // 2, bias=False)
    return convolution, nn.BatchNorm1d(n_out)
