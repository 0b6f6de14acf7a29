"""What one must know to use a backbone, in words: a card of text, and of HTML in notebooks."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sktransfer.utils.counted_nouns import counted

# Backbone offers its card, so that this file does not import it

_WIDTH = 110  # characters of a line of text
_MOST_COLUMNS = 60  # that are listed one by one


class Card(str):
    """Text in lines of a label and what there is to say; a notebook shows it as a table.

    Parameters
    ----------
    title : str
    lines : sequence of (str, str)
        Label and text.
    """

    __slots__ = ("_lines", "_title")

    _lines: list[tuple[str, str]]
    _title: str

    def __new__(cls, title: str, lines: Sequence[tuple[str, str]]) -> Card:
        """The text of `lines` under `title`."""
        printed = [(label, _printable(text)) for label, text in lines]
        indent = 2 + max((len(label) for label, _ in printed), default=0) + 2
        parts = [_printable(title)]
        for label, text in printed:
            wrapped = textwrap.wrap(text, _WIDTH - indent, break_on_hyphens=False) or [""]
            first = f"  {label}".ljust(indent)
            parts += [first + wrapped[0], *(" " * indent + line for line in wrapped[1:])]
        card = super().__new__(cls, "\n".join(parts))
        card._title, card._lines = parts[0], printed
        return card

    def __repr__(self) -> str:
        return str(self)

    def __getnewargs__(self) -> tuple[str, list[tuple[str, str]]]:  # type: ignore[override]  # for copies and pickles
        return self._title, self._lines

    def _repr_html_(self) -> str:
        rows = "".join(
            f'<tr><th style="text-align:left;vertical-align:top">{html.escape(label)}</th>'
            f'<td style="text-align:left">{html.escape(text)}</td></tr>'
            for label, text in self._lines
        )
        return f"<table><caption>{html.escape(self._title)}</caption><tbody>{rows}</tbody></table>"


def card_of(backbone: Any) -> Card:
    """The card of `backbone`: what its file says of it, and what can be counted."""
    inputs, source, known = backbone.inputs, backbone.source, dict(backbone.provenance)
    size = sum(array.size for weights in backbone.weights for array in weights.values())
    network = "torch network without a name in files" if backbone.network is None else backbone.network["name"]
    lines = [
        ("network", f"{network}: {size:,} numbers, {backbone.nbytes / 1e6:.1f} MB"),
        ("blocks", f"{', '.join(backbone.blocks)} (counted from the input)"),
        ("takes", takes(backbone)),
        *_columns(backbone),
        ("scaling", inputs.scaling or "not said"),
        ("range", _range(backbone)),
        ("gives", counted(backbone.n_features_out, "feature")),
        ("source head", _head(source)),
        ("trained on", "; ".join(str(known.pop(key)) for key in ("data", "task") if key in known) or "not said"),
        ("samples", str(known.pop("n_samples", "not said"))),
        ("licence", str(known.pop("licence", "not said"))),
        ("limits", _text(known.pop("limits", "not said"))),
    ]
    return Card(repr(backbone), lines + [(key.replace("_", " "), _text(value)) for key, value in known.items()])


def takes(backbone: Any) -> str:
    """What samples a backbone takes, as in "rows of 53 columns"."""
    inputs = backbone.inputs
    if inputs.shape is None:
        return f"rows of {_count(inputs.n)} columns"
    kind = "windows" if len(inputs.shape) == 2 else "images"
    sizes = " x ".join(_count(size) for size in inputs.shape[1:])
    text = f"{kind} of {_count(inputs.shape[0])} channels and {sizes} {'samples' if kind == 'windows' else 'pixels'}"
    if inputs.sampling_rate is not None:
        low, high = inputs.sampling_rate
        text += f", at {low:g} Hz" if low == high else f", at {low:g} to {high:g} Hz"
    return text if inputs.front_end is None else f"{text}, through the front end {inputs.front_end!r}"


def one_line(backbone: Any) -> str:
    """What a backbone takes, gives and was trained on, in one line."""
    source, data = backbone.source, backbone.provenance.get("data")
    head = "" if source is None or source.weight is None else f", {_head(source).split(':')[0]}"
    return _printable(
        f"{takes(backbone)}; {counted(backbone.n_features_out, 'feature')}{head}" + (f"; {data}" if data else "")
    )


def _count(size: int | None) -> str:
    return "any number of" if size is None else str(size)


def _columns(backbone: Any) -> list[tuple[str, str]]:
    """Names and units of the columns, as far as they are known."""
    names, units = backbone.inputs.names, backbone.inputs.units
    if names is None:
        return [] if units is None else [("units", ", ".join(units))]
    each = list(names) if units is None else [f"{name} ({unit})" for name, unit in zip(names, units, strict=False)]
    rest = f", and {len(each) - _MOST_COLUMNS} more" if len(each) > _MOST_COLUMNS else ""
    kind = "columns" if backbone.inputs.shape is None else "channels"
    return [(kind, ", ".join(each[:_MOST_COLUMNS]) + rest)]


def _range(backbone: Any) -> str:
    low, high = backbone.inputs.minimum, backbone.inputs.maximum
    if low is None or high is None:
        return "not known"
    return (
        f"scaled values from {np.min(low):.3g} to {np.max(high):.3g}; of the single columns or channels they begin "
        f"between {np.min(low):.3g} and {np.max(low):.3g} and end between {np.min(high):.3g} and {np.max(high):.3g}"
    )


def _head(source: Any) -> str:
    if source is None or source.weight is None:
        return "none"
    if source.classes is None:
        return f"a regression of {len(source.weight)} value{'s' if len(source.weight) > 1 else ''}"
    return f"{counted(len(source.classes), 'class', 'classes')}: {', '.join(map(str, source.classes))}"


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_text(item)}" for key, item in value.items())
    return "; ".join(map(_text, value)) if isinstance(value, list | tuple) else str(value)


def _printable(text: str) -> str:
    """`text` without what a terminal would act on: it may come from a file of somebody else."""
    return "".join(c if c.isprintable() else " " for c in text)
