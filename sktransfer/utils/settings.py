"""Settings: parameters as scikit-learn reads and writes them, for objects that must do without scikit-learn.

Whoever scores a table with an ONNX file has no scikit-learn, or does not want to wait for its import.
"""

from __future__ import annotations

import inspect
from typing import Any


class Settings:
    """Base of objects that are their constructor's parameters, and nothing else.

    ``clone``, nested names such as ``table_format__decimal`` and a search over them work as with scikit-learn's
    ``BaseEstimator``.
    """

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters by name, and with `deep` those of parameters that have some, as ``time__zone``."""
        found: dict[str, Any] = {}
        for name in inspect.signature(type(self)).parameters:
            value = found[name] = getattr(self, name)
            if deep and hasattr(value, "get_params") and not isinstance(value, type):
                found |= {f"{name}__{key}": inner for key, inner in value.get_params().items()}
        return found

    def set_params(self, **params: Any) -> Settings:
        """Set parameters, those of parameters as ``time__zone``.

        Raises
        ------
        ValueError
            If there is no such parameter.
        """
        inner: dict[str, dict[str, Any]] = {}
        known = list(inspect.signature(type(self)).parameters)
        for key, value in params.items():
            name, nested, rest = key.partition("__")
            if name not in known:
                raise ValueError(f"{type(self).__name__} has no parameter {name!r}; it has {known}.")
            if nested:
                inner.setdefault(name, {})[rest] = value
            else:
                setattr(self, name, value)
        for name, values in inner.items():
            getattr(self, name).set_params(**values)
        return self

    def __repr__(self) -> str:
        defaults = {name: one.default for name, one in inspect.signature(type(self)).parameters.items()}
        changed = [
            f"{name}={getattr(self, name)!r}"
            for name, default in defaults.items()
            if default is inspect.Parameter.empty or repr(getattr(self, name)) != repr(default)
        ]
        return f"{type(self).__name__}({', '.join(changed)})"
