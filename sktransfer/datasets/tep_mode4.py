"""Rows of a simulated plant in an operating mode that the shipped networks never saw."""

from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

_FOLDER = Path(__file__).parent
_NAMES_OF_NO_SENSOR = ["run", "mode", "hour", "label"]


def load_tep_mode4(*, return_X_y=False, as_frame=True):
    """Load 1,602 rows of the Tennessee Eastman process in mode 4: normal operation and twelve faults.

    The shipped network ``"tep-process"`` learned the same faults in modes 1, 2 and 3, so this is the target of a
    transfer. The rows are every 15th row (one in 45 minutes) of the 112 simulated runs of 12 hours in the source
    tree's data set ``datasets/tep``, and small enough to be installed with the package.

    A fault is on from the start of its run, and every row of a run has the run's label. Rows of one run resemble each
    other: split by `groups`, or a score tells how well runs are remembered.

    Parameters
    ----------
    return_X_y : bool, default=False
        Return ``(data, target)`` in place of the Bunch.
    as_frame : bool, default=True
        Return `data` as a DataFrame and `target` as a Series. Networks compare the names of the columns with theirs,
        which arrays do not have.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with the attributes

        data : DataFrame or ndarray of shape (1602, 53)
            Sensors and valve positions, float64; ``load_backbone("tep-process").inputs.units`` has their units.
        target : Series or ndarray of shape (1602,)
            Labels, ``"normal"`` or the name of a fault.
        feature_names : list of str, of length 53
            Names of the columns of `data`.
        target_names : ndarray of shape (13,)
            The labels in alphabetical order.
        groups : ndarray of shape (1602,)
            Name of the run of each row, such as ``"m4-f02-r03"``.
        hours : ndarray of shape (1602,)
            Time since the start of the run, in hours.
        sample_domain : ndarray of shape (1602,)
            The mode, 4, of each row. Negate it where this mode is the target.
        frame : DataFrame of shape (1602, 54)
            `data` and `target` side by side; only with ``as_frame=True``.
        filename : str
            The file that was read.
        DESCR : str
            Origin, terms and columns.

    (data, target) : tuple
        With ``return_X_y=True``.

    Notes
    -----
    Simulated with tep-studio 0.2.0. Its plant model, Downs and Vogel (1993), doi:10.1016/0098-1354(93)80018-I, revised
    by Bathelt, Ricker and Jelali (2015), doi:10.1016/j.ifacol.2015.08.199, is redistributed there for research and
    educational use, so take these rows for research and education, and keep the attributions.

    Examples
    --------
    >>> from sktransfer import load_tep_mode4
    >>> plant = load_tep_mode4()
    >>> plant.data.shape, len(plant.target_names), len(set(plant.groups))
    ((1602, 53), 13, 112)
    """
    file = _FOLDER / "tep_mode4.csv.gz"
    table = pd.read_csv(file)
    X = table.drop(columns=_NAMES_OF_NO_SENSOR).astype(np.float64)
    y = table["label"].astype(object)
    data, target = (X, y) if as_frame else (X.to_numpy(), y.to_numpy())
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        target=target,
        frame=X.assign(label=y) if as_frame else None,
        feature_names=X.columns.tolist(),
        target_names=np.unique(y.to_numpy()),
        groups=table["run"].to_numpy(dtype=object),
        hours=table["hour"].to_numpy(),
        sample_domain=table["mode"].to_numpy(dtype=np.int64),
        filename=str(file),
        DESCR=(_FOLDER / "tep_mode4.md").read_text(encoding="utf-8"),
    )
