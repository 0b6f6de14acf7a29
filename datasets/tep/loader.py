"""Load one operating mode of the Tennessee Eastman data."""

from pathlib import Path

import numpy as np
import pandas as pd

from datasets.tep.columns import INPUT_NAMES

HERE = Path(__file__).resolve().parent
MODES = (1, 2, 3, 4)


def load_tep(mode=4, *, as_frame=True, folder=None):
    """Load one operating mode.

    Rows are in time order within a run, 3 min apart. Split by `groups`: neighbours in a run are nearly the
    same row.

    Parameters
    ----------
    mode : {1, 2, 3, 4}, default=4
        Operating mode. Mode 4 comes with the source tree, the others are generated.
    as_frame : bool, default=True
        Return `X` as a DataFrame and `y` as a Series, else both as arrays.
    folder : str or path, default=None
        Where ``mode<mode>.csv.gz`` lies. By default this folder, then its subfolder ``generated``.

    Returns
    -------
    X : DataFrame or ndarray of shape (n_samples, 53)
        Sensors and valve positions, float64, in the units of `UNITS`.
    y : Series or ndarray of shape (n_samples,)
        Labels, ``"normal"`` or the name of a fault; one label per run.
    groups : ndarray of shape (n_samples,)
        Name of the run, such as ``"m4-f02-r03"``.
    sample_domain : ndarray of shape (n_samples,)
        The mode, a positive integer. Negate it where this mode is the target.

    Raises
    ------
    ValueError
        If there is no such mode, or the file has other columns than expected.
    FileNotFoundError
        If the mode has not been generated yet.

    Examples
    --------
    >>> from datasets.tep import load_tep
    >>> X, y, groups, sample_domain = load_tep()
    >>> X.shape[1], y.nunique(), set(sample_domain.tolist())
    (53, 13, {4})
    """
    if mode not in MODES:
        raise ValueError(f"load_tep got mode={mode!r}; expected one of {MODES}.")
    frame = pd.read_csv(_find(mode, folder))
    wanted = ["run", "mode", "hour", *INPUT_NAMES, "label"]
    if list(frame.columns) != wanted:
        wrong = sorted(set(frame.columns).symmetric_difference(wanted)) or "their order"
        raise ValueError(f"load_tep found other columns than expected in the file of mode {mode}: {wrong}.")
    X = frame[list(INPUT_NAMES)].astype(np.float64)
    y = frame["label"].astype(object)
    groups = frame["run"].to_numpy(dtype=object)
    sample_domain = frame["mode"].to_numpy(dtype=np.int64)
    if as_frame:
        return X, y, groups, sample_domain
    return X.to_numpy(), y.to_numpy(), groups, sample_domain


def _find(mode, folder):
    """Return the path of a mode's file, or say how to make it."""
    folders = (HERE, HERE / "generated") if folder is None else (Path(folder),)
    for candidate in folders:
        path = candidate / f"mode{mode}.csv.gz"
        if path.is_file():
            return path
    out = "datasets/tep/generated" if folder is None else Path(folder).as_posix()
    command = f"python datasets/tep/generate.py --modes {mode} --out {out} --seed 0 --progress"
    raise FileNotFoundError(
        f"load_tep found no mode{mode}.csv.gz. From the root of the repository (about 3 minutes): "
        f"pip install tep-studio==0.2.0 && {command}"
    )
