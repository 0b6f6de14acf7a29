"""Versions of the packages that a model was written with, to be compared when it is loaded."""

import functools
import platform
from collections.abc import Mapping
from importlib.metadata import version

import numpy as np


def running_versions() -> dict[str, str]:
    """Versions of the packages whose change can change numbers."""
    import sklearn

    import sktransfer

    return {
        "sktransfer": sktransfer.__version__,
        "scikit-learn": sklearn.__version__,
        "torch": _torch_version(),
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


@functools.cache
def _torch_version() -> str:
    """Torch's version from its metadata: importing it would take longer than all else in loading a model."""
    return version("torch").split("+")[0]


def minor_versions(versions: Mapping[str, str]) -> dict[str, str]:
    """``1.9.1`` -> ``1.9``: patch releases do not change numbers and are not worth a warning."""
    return {package: ".".join(version.split(".")[:2]) for package, version in versions.items()}
