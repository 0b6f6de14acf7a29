"""The error of a value that a parameter cannot have, and two questions to values.

scikit-learn's class of the error is imported when it is raised: reading a table needs no scikit-learn.
"""

from __future__ import annotations

import numbers
from typing import Any


def is_number(value: Any) -> bool:
    """Whether `value` is a number; True and False are not."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def is_whole(value: Any) -> bool:
    """Whether `value` is a whole number; True and False are not."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def invalid_parameter(name: str, parameter: str, must: str, value: Any) -> ValueError:
    """The error for the `value` of a `parameter` of a class called `name`, in scikit-learn's words.

    It is scikit-learn's ``InvalidParameterError``; where scikit-learn is not installed, a ValueError.
    """
    try:
        from sklearn.utils._param_validation import InvalidParameterError as Error
    except ImportError:
        Error = ValueError
    return Error(f"The {parameter!r} parameter of {name} must {must}. Got {value!r} instead.")
