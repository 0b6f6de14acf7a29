"""Whether the columns of the rows are those that a backbone was pretrained on."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from sktransfer.backbone import Backbone
from sktransfer.exceptions import DataQualityWarning


def compare_columns(who: str, backbone: Backbone, n_columns: int, names: Sequence[str] | None) -> None:
    """Compare the columns of the rows with those that the backbone was pretrained on.

    Another number or order of columns is a ValueError; other names are a warning, because plants name the same sensor
    differently.
    """
    known = backbone.inputs.names
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
