"""The network behind the shipped backbone "vibration": what `EnvelopeSpectra` returns, for any number of channels."""

from __future__ import annotations

import torch
from torch import nn

from sktransfer.networks.registry import register_network


class _Views(nn.Module):
    """Numbers of each channel to features of each channel: readings at fault orders, an axis of orders, scalars."""

    def __init__(self, n_views: int, n_lines: int, n_axis: int, n_scalars: int, width: int):
        super().__init__()
        self.sizes = (n_views * n_lines, n_views * n_axis, n_scalars)
        self.input_shape = (None, sum(self.sizes))  # any number of channels
        self.n_views, self.n_axis = n_views, n_axis
        self.line = nn.Sequential(nn.Linear(n_lines, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
        self.lines = nn.Sequential(nn.Linear(n_views * n_lines, width), nn.ReLU())
        self.axis = nn.Sequential(
            nn.Conv1d(n_views + 1, 32, 9, padding=4, bias=False),
            nn.BatchNorm1d(32),
            nn.ReLU(),
            nn.MaxPool1d(2),
            nn.Conv1d(32, width, 5, padding=2, bias=False),
            nn.BatchNorm1d(width),
            nn.ReLU(),
            nn.MaxPool1d(2),
            nn.Conv1d(width, width, 5, padding=2, bias=False),
            nn.BatchNorm1d(width),
            nn.ReLU(),
        )
        # flattened where position has a meaning (speed known), pooled where it has none
        self.place = nn.Sequential(nn.MaxPool1d(4), nn.Flatten(), nn.Linear(width * (n_axis // 16), width), nn.ReLU())
        self.scalars = nn.BatchNorm1d(n_scalars)
        self.n_lines_out, self.n_out = 3 * width, 6 * width + n_scalars

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        lines, axis, scalars = x.reshape(-1, x.shape[-1]).split(self.sizes, dim=1)
        each = self.line(lines.reshape(len(lines), self.n_views, -1))
        ramp = torch.linspace(-1.0, 1.0, self.n_axis, device=x.device, dtype=x.dtype)
        placed = torch.cat([axis.reshape(len(axis), self.n_views, -1), ramp.expand(len(axis), 1, -1)], dim=1)
        found = self.axis(placed)
        parts = [each.amax(1), each.mean(1), self.lines(lines), found.amax(2), found.mean(2), self.place(found)]
        features = torch.cat([*parts, self.scalars(scalars)], dim=1)
        return features.reshape(x.shape[0], x.shape[1], -1)


class _Channel(nn.Module):
    """Features of each channel: of its readings at fault orders alone, of all of it, and the scalars that pass."""

    def __init__(self, n_lines: int, n_in: int, passed: slice, n_line_features: int, n_features: int, dropout: float):
        super().__init__()
        self.n_lines, self.passed = n_lines, passed
        self.lines = _layers(n_lines, n_line_features, dropout)
        self.all = _layers(n_in, n_features, dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        each = x.reshape(-1, x.shape[-1])
        found = torch.cat([self.lines(each[:, : self.n_lines]), self.all(each), each[:, self.passed]], dim=1)
        return found.reshape(x.shape[0], x.shape[1], -1)


class _Pool(nn.Module):
    """Mean and largest value over channels, so that neither their number nor their order matters."""

    def __init__(self, n_lines: int, n_in: int, n_line_features: int, n_features: int):
        super().__init__()
        self.n_lines, self.n_in = n_lines, n_in
        self.lines = _layers(2 * n_lines, n_line_features, 0.0)
        self.all = _layers(2 * n_in, n_features, 0.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean, largest = x.mean(dim=1), x.amax(dim=1)
        lines, learned, passed = (
            torch.cat([mean[:, part], largest[:, part]], dim=1)
            for part in (slice(self.n_lines), slice(self.n_in), slice(self.n_in, None))
        )
        return torch.cat([self.lines(lines), self.all(learned), passed], dim=1)


def _layers(n_in: int, n_out: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(nn.Linear(n_in, n_out, bias=False), nn.BatchNorm1d(n_out), nn.ReLU(), nn.Dropout(dropout))


@register_network("vibration")
class VibrationNet(nn.Module):
    """Features of vibration, from the numbers of :class:`~sktransfer.preprocessing.envelope_spectra.EnvelopeSpectra`.

    The first `n_line_features` features see the readings at fault orders alone, so that a head can tell the parts of a
    bearing by them and by nothing else: what else a window shows differs between simulation and reality. The next
    `n_features` see everything. The last ones are scalars past all that was learned, standardised, their mean and their
    largest value over channels: what the training found of no use across machines, such as where the energy lies, may
    tell the sizes of a fault of one machine.

    **Shape**

    - Input: ``(n_windows, n_channels, n_numbers)``, any number of channels in any order
    - Output: ``(n_windows, n_line_features + n_features + 2 * n_passed)``; the block ``channel`` returns
      ``2 * (n_line_features + n_features) + n_passed`` for each channel

    Parameters
    ----------
    n_views, n_lines, n_axis, n_scalars : int
        How the numbers of a channel are made up: `n_views` times `n_lines` readings, `n_views` times `n_axis` places
        on the axis, then scalars.
    width : int, default=64
        Numbers in each of the six summaries of a channel.
    n_line_features, n_features : int, default=64, 96
        Features of a window that see the readings at fault orders alone, and features that see everything.
    n_passed : int, default=0
        The first so many scalars are features as they are.
    dropout : float, default=0.1
        Share of a channel's features set to zero in training, in [0, 1).
    """

    def __init__(
        self,
        n_views: int,
        n_lines: int,
        n_axis: int,
        n_scalars: int,
        width: int = 64,
        n_line_features: int = 64,
        n_features: int = 96,
        n_passed: int = 0,
        dropout: float = 0.1,
    ):
        super().__init__()
        self.views = _Views(n_views, n_lines, n_axis, n_scalars, width)
        inner = 2 * n_line_features, 2 * n_features
        n_out = self.views.n_out
        passed = slice(n_out - n_scalars, n_out - n_scalars + n_passed)
        self.channel = _Channel(self.views.n_lines_out, n_out, passed, *inner, dropout)
        self.pool = _Pool(inner[0], sum(inner), n_line_features, n_features)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Features of `x`."""
        return self.pool(self.channel(self.views(x)))
