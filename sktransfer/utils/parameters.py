"""Checks of parameters. scikit-learn's table of constraints is imported here and nowhere else."""

from typing import Any

from sklearn.utils._param_validation import HasMethods, Interval, InvalidParameterError, Options, StrOptions

from sktransfer.utils.invalid_parameter import invalid_parameter, is_number, is_whole

__all__ = [
    "Interval",
    "InvalidParameterError",
    "Options",
    "StrOptions",
    "TorchDevice",
    "check_callbacks",
    "check_dropout",
    "check_sizes",
    "invalid_parameter",
    "is_number",
    "is_whole",
]


class TorchDevice(HasMethods):
    """An instance of ``torch.device``, told without importing torch."""

    def __init__(self) -> None:
        super().__init__("type")

    def is_satisfied_by(self, val: Any) -> bool:
        """Whether `val` is a device."""
        return (type(val).__module__, type(val).__qualname__) == ("torch", "device")

    def __str__(self) -> str:
        return "an instance of 'torch.device'"


def check_sizes(name: str, sizes: Any, parameter: str = "hidden_layer_sizes") -> None:
    """Raise an InvalidParameterError unless `sizes` is a non-empty sequence of whole numbers of at least 1."""
    good = isinstance(sizes, list | tuple) and len(sizes) > 0
    if not (good and all(is_whole(s) and s >= 1 for s in sizes)):
        raise invalid_parameter(name, parameter, "be a non-empty sequence of integers of at least 1", sizes)


def check_dropout(name: str, dropout: Any) -> None:
    """Raise an InvalidParameterError unless `dropout` is a number in [0, 1)."""
    if not (is_number(dropout) and 0 <= dropout < 1):
        raise invalid_parameter(name, "dropout", "be a number from 0 to below 1", dropout)


def check_callbacks(name: str, callbacks: Any) -> None:
    """Raise an InvalidParameterError unless every item is a skorch callback or a pair of a name and one."""
    for item in callbacks or ():
        callback = item[1] if isinstance(item, tuple) and len(item) == 2 else item
        if not hasattr(callback, "on_epoch_end"):
            raise invalid_parameter(name, "callbacks", "hold skorch callbacks", item)
