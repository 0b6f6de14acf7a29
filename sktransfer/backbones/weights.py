"""Arrays that go to disk: named, immutable, and checked when they come back.

One `Weights` object is written once however many owners it has, because pickle remembers objects (joblib does
not remember arrays). That is why a fitted estimator that kept its backbone frozen stores it once.
"""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from sktransfer.exceptions import ModelFileError

_ALLOWED_KINDS = "fiub"  # floating point, whole numbers, truth values


class Weights(Mapping[str, np.ndarray]):
    """Read-only mapping of names to C-contiguous arrays with a SHA-256 over names, shapes and bytes.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        Taken as they are, without a copy where they are contiguous.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray]):
        self._arrays = {name: np.asarray(array, order="C") for name, array in arrays.items()}
        self._compared: str | None = None  # the checksum, as it was when a file was read

    def __getitem__(self, name: str) -> np.ndarray:
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    # An object equals itself alone, so that it can be a key without comparing arrays.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    @property
    def sha256(self) -> str:
        """Digest of names, types, shapes and bytes."""
        digest = hashlib.sha256()
        for name in sorted(self._arrays):
            array = self._arrays[name]
            digest.update(f"{name}|{array.dtype.str}|{array.shape}|".encode())
            digest.update(np.ascontiguousarray(array).data)  # without a copy
        return digest.hexdigest()

    def checksum(self, is_read: bool) -> str:
        """`sha256`; for weights that were just read, as it was compared then."""
        return self._compared if is_read and self._compared is not None else self.sha256

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return sum(array.nbytes for array in self._arrays.values())

    def __getstate__(self) -> dict[str, Any]:
        return {"arrays": dict(self._arrays), "sha256": self.sha256}

    def __setstate__(self, state: dict[str, Any]) -> None:
        arrays = state.get("arrays")
        if not isinstance(arrays, dict) or not all(isinstance(a, np.ndarray) for a in arrays.values()):
            raise ModelFileError("The model file holds no named arrays where its weights should be.")
        refused = sorted({str(a.dtype) for a in arrays.values() if a.dtype.kind not in _ALLOWED_KINDS})
        if refused:
            raise ModelFileError(f"The model file holds arrays of type {refused}; weights are numbers.")
        # joblib may hand out read-only memory maps; torch wants memory of its own
        self._arrays = {name: np.array(a, order="C") if not a.flags.writeable else a for name, a in arrays.items()}
        self._compared = self.sha256
        if self._compared != state.get("sha256"):
            raise ModelFileError("The weights in the model file do not match their checksum: the file is damaged.")
