"""Whether the columns of the rows, or the channels of windows, are those that a backbone was pretrained on."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from sktransfer.backbones.backbone import Backbone
from sktransfer.backbones.from_scratch import FromScratch
from sktransfer.exceptions import DataQualityWarning


def compare_columns(who: str, backbone: Backbone | FromScratch, n_columns: int, names: Sequence[str] | None) -> None:
    """Compare the columns of the rows with those that the backbone was pretrained on.

    Another number or order of columns is a ValueError; other names are a warning, because plants name the same sensor
    differently.
    """
    known = None if backbone.inputs is None else backbone.inputs.names
    if backbone.n_features_in in (None, n_columns):
        if names is None or known is None or list(names) == list(known):
            return
        if sorted(names) == sorted(known):
            raise ValueError(
                f"{who} got the columns of backbone {backbone.name!r} in another order. "
                "Select them by name: X[list(backbone.inputs.names)]."
            )
        first = next((n, k) for n, k in zip(names, known, strict=False) if n != k)
        warnings.warn(
            f"{who} got other column names than backbone {backbone.name!r} was pretrained on (first: {first[0]!r} "
            f"where it had {first[1]!r}). Make sure that they are the same sensors in the same order.",
            DataQualityWarning,
            stacklevel=5,
        )
        return
    detail = ""
    if known is not None and names is not None:
        missing, extra = [n for n in known if n not in names], [n for n in names if n not in known]
        detail = f" Missing: {missing[:8]}; unknown: {extra[:8]}."
    raise ValueError(
        f"{who} got X with {n_columns} features, but its backbone {backbone.name!r} was pretrained on "
        f"{backbone.n_features_in}.{detail} Select the same columns, or pass a backbone trained on these."
    )


def compare_shapes(who: str, backbone: Backbone | FromScratch, shape: Sequence[int]) -> None:
    """Raise a ValueError unless windows or images of this shape are what the backbone takes.

    Parameters
    ----------
    shape : sequence of int
        Of `X`.
    """
    takes = (backbone.inputs and backbone.inputs.shape) or (None,) * (len(shape) - 1)
    if takes[0] not in (None, shape[1]):
        raise ValueError(
            f"{who} got windows of {shape[1]} channels, but its backbone {backbone.name!r} takes {takes[0]}. Select "
            "the same channels, or pass a backbone that takes any number."
        )
    if any(size not in (None, found) for size, found in zip(takes[1:], shape[2:], strict=True)):
        known = " x ".join("any" if size is None else str(size) for size in takes[1:])
        raise ValueError(
            f"{who} got samples of {' x '.join(map(str, shape[2:]))} values a channel, but its backbone "
            f"{backbone.name!r} takes {known}. Cut windows, or scale images, to that size."
        )
