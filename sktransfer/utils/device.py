"""Which device a fit or a prediction runs on; resolved each time, never stored."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from sktransfer.utils.parameters import InvalidParameterError

if TYPE_CHECKING:
    import torch


def is_cpu(device: str | torch.device) -> bool:
    """Whether a network that needs no torch is computed on the CPU.

    ``"auto"`` does not import torch only to ask whether there is CUDA: until something else has, it is the CPU.

    Raises
    ------
    InvalidParameterError, RuntimeError
        As :func:`resolve_device`.
    """
    if device == "auto":
        device = os.environ.get("SKTRANSFER_DEVICE", "auto" if "torch" in sys.modules else "cpu")
    return device == "cpu" or resolve_device(device).type == "cpu"


def resolve_device(device: str | torch.device) -> torch.device:
    """``"auto"`` is CUDA where there is one, else the CPU; the variable SKTRANSFER_DEVICE overrides it.

    Raises
    ------
    InvalidParameterError
        If `device` is not a device.
    RuntimeError
        If CUDA is asked for and is not here.
    """
    import torch

    if device == "auto":
        device = os.environ.get("SKTRANSFER_DEVICE", "cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
    except RuntimeError:
        resolved = None
    if resolved is None or resolved.type not in ("cpu", "cuda"):
        raise InvalidParameterError(
            f"The 'device' parameter must be 'auto', 'cpu', 'cuda' or 'cuda:<number>'. Got {device!r} instead."
        )
    if resolved.type == "cuda" and not torch.cuda.is_available():
        raise RuntimeError(f"device={str(device)!r} was asked for, but there is no CUDA here; use device='auto'.")
    if resolved.type == "cuda" and resolved.index is None:
        return torch.device("cuda", torch.cuda.current_device())
    return resolved
