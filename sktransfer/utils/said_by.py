"""Messages of a part in the name of the estimator that holds it.

::

    user --> TransferDetector --> FeatureExtractor raises "FeatureExtractor got X with 3 features ..."
    user <-- "TransferDetector got X with 3 features ..." <--+
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_names: ContextVar[tuple[str, str] | None] = ContextVar("part and whole of the open block", default=None)


@contextmanager
def said_by(whole: str, part: str) -> Iterator[None]:
    """Errors and warnings of the block name `whole` where they would name `part`, a class that it is made of.

    Parameters
    ----------
    whole, part : str
        Names of classes: the estimator that the user holds, and the one inside.

    Examples
    --------
    >>> from sktransfer.utils.said_by import said_by
    >>> with said_by("TransferDetector", "FeatureExtractor"):
    ...     raise ValueError("FeatureExtractor got 3 features.")
    Traceback (most recent call last):
    ValueError: TransferDetector got 3 features.
    """
    token = _names.set((part, whole))
    try:
        yield
    except (TypeError, ValueError) as error:
        if error.args and isinstance(error.args[0], str):
            error.args = (in_whole(error.args[0]), *error.args[1:])
        raise
    finally:
        _names.reset(token)


def in_whole(text: str) -> str:
    """A message of this thread's open block in the name of the whole; as it is where no block is open."""
    names = _names.get()
    return text if names is None else re.sub(rf"\b{names[0]}\b", names[1], text)
