"""Which backbones the package holds."""

from __future__ import annotations

from sktransfer.backbones.card import one_line
from sktransfer.backbones.persistence import load_backbone, shipped_backbones


def list_backbones() -> dict[str, str]:
    """List the backbones that the package holds.

    Returns
    -------
    dict of str to str
        Name, as :func:`load_backbone` and the parameter ``backbone`` take it, and one line of what it takes, gives and
        was trained on. ``load_backbone(name).card`` says more.

    Examples
    --------
    >>> from sktransfer import list_backbones, load_backbone
    >>> list(list_backbones())
    ['process', 'tep-process', 'vibration']
    >>> print(list_backbones()["tep-process"][:55])
    rows of 53 columns; 256 features, 13 classes; simulated
    """
    return {name: one_line(load_backbone(name)) for name in shipped_backbones()}
