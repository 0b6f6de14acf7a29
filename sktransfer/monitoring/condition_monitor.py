"""ConditionMonitor: one object from the raw table of a plant to the state of each machine.

::

    table --> usable rows --> rows or windows --> estimator --> state, score --> alarms --> three sensors that moved
                |                                                                  ^
                +--> NO_DATA, with a reason           healthy scores held out -----+
"""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, clone, is_classifier, is_outlier_detector
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from sktransfer.estimators.domain_steps import for_steps, takes_domain, through_steps
from sktransfer.estimators.open_set_classifier import OpenSetClassifier
from sktransfer.exceptions import DataQualityWarning
from sktransfer.io.score_rows import NO_DATA
from sktransfer.io.table_format import TableFormat, check_format, sensor_units
from sktransfer.monitoring.alarms import Alarms
from sktransfer.monitoring.class_scores import log_odds, open_set_score
from sktransfer.monitoring.explain_sensors import explain_sensors
from sktransfer.monitoring.learned_rows import learn_rows
from sktransfer.monitoring.plant_frame import plant_frame, sensor_columns
from sktransfer.monitoring.raw_rows import measuring_ranges
from sktransfer.monitoring.samples import RowRules, Samples, samples_of
from sktransfer.monitoring.sensor_texts import sensor_texts
from sktransfer.utils.checksums import Checksummed
from sktransfer.utils.counted_nouns import counted
from sktransfer.utils.counted_warnings import warn_caller
from sktransfer.utils.id_texts import why_no_name
from sktransfer.utils.parameters import HasMethods, Interval
from sktransfer.windows.sliding_windows import SlidingWindows

UNUSUAL, USUAL = "unusual", "normal"  # what a detector says
_NAME = "ConditionMonitor"


class ConditionMonitor(Checksummed, BaseEstimator):
    """From a raw table to a state, a score and an alarm for each row or window of each machine.

    All that a monitoring job needs stands in one object, which one file holds: how the table is written, how windows
    are cut, the baselines of the machines, the detector or classifier, and when an alarm begins.

    Parameters
    ----------
    estimator : outlier detector, or classifier with ``predict_proba``
        As :class:`sktransfer.TransferDetector`, or a pipeline that ends in one. Not fitted; a clone is. Steps that take
        ``sample_domain`` get the machine of each row, so that a :class:`sktransfer.BaselineScaler` keeps a baseline a
        machine.
    table_format : TableFormat
        How a file is written, and the names of its columns: sensors with their units, time, machine. Frames need the
        same names.
    windows : SlidingWindows or None, default=None
        How the estimator's windows are cut; they begin at whole steps of time, whatever row a file begins with. None:
        each row is a sample.
    alarms : Alarms or None, default=None
        Not fitted. None: ``Alarms()``.
    normal_label : object, default=None
        Class of the healthy rows, for a classifier.
    limits : dict of str to (low, high) or None, default=None
        Measuring range of sensors, None where an end is open: a value beyond it is a fault of the sensor, and its row
        is not judged.
    held_out : float, default=0.3
        Share of each machine's healthy samples, the last ones, that the estimator does not see: they set the threshold
        of the alarms. Between 0 and 1.
    n_sensors : int, default=3
        Sensors that are named with an alarm.

    Attributes
    ----------
    estimator_ : estimator
        Fitted.
    alarms_ : Alarms
        Fitted to the healthy scores that were held out.
    classes_ : ndarray or None
        Of a classifier.
    sensors_ : list of str
    units_ : dict of str to str
    machines_ : list of str
        Of ``fit``; ``[""]`` where the table names none.
    ranges_ : ndarray of shape (n_sensors, 2)
        Least and largest usable value of ``fit``.
    period_ : float
        Usual distance of two rows of a machine, in s.
    explains_ : bool
        Whether the sensors of an alarm can be named.

    See Also
    --------
    read_table : Read a file as the format says.
    Alarms : When an alarm begins and ends.

    Notes
    -----
    Rows with a missing cell, or with one beyond its measuring range, are not judged: their state is ``"NO_DATA"``, and
    so is a stretch without rows. A sensor that shows one value for twenty times as long as usual is named in
    ``quality``; the row is judged all the same. Rows that are left out break a window.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from sktransfer import BaselineScaler, ConditionMonitor, TableFormat, TimeColumn, TransferDetector
    >>> from sktransfer import make_pipeline
    >>> time = pd.date_range("2026-01-01", periods=20_000, freq="min", tz="UTC")
    >>> healthy = pd.DataFrame(np.random.default_rng(0).normal(size=(20_000, 2)) + [100, 5], columns=["p", "T"])
    >>> table_format = TableFormat({"p": "bar", "T": "°C"}, time=TimeColumn("time"))
    >>> monitor = ConditionMonitor(make_pipeline(BaselineScaler(), TransferDetector()), table_format)
    >>> monitor = monitor.fit(healthy.assign(time=time))
    >>> today = pd.DataFrame({"p": [100, 120, 120, 120.0], "T": [5, 5, 5, np.nan]})
    >>> found = monitor.predict(today.assign(time=time[-1] + pd.to_timedelta(range(1, 5), "min")))
    >>> found[["state", "alarm", "quality"]].to_numpy().tolist()
    [['normal', False, ''], ['unusual', False, ''], ['unusual', False, ''], ['NO_DATA', False, 'missing: T']]
    """

    _parameter_constraints: dict[str, Any] = {
        "estimator": [HasMethods(["fit", "predict"])],
        "table_format": [TableFormat],
        "windows": [SlidingWindows, None],
        "alarms": [Alarms, None],
        "normal_label": "no_validation",
        "limits": [Mapping, None],
        "held_out": [Interval(Real, 0, 1, closed="neither")],
        "n_sensors": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        estimator,
        table_format,
        *,
        windows=None,
        alarms=None,
        normal_label=None,
        limits=None,
        held_out=0.3,
        n_sensors=3,
    ):
        self.estimator = estimator
        self.table_format = table_format
        self.windows = windows
        self.alarms = alarms
        self.normal_label = normal_label
        self.limits = limits
        self.held_out = held_out
        self.n_sensors = n_sensors

    def fit(self, table, labels=None):
        """Fit the estimator, and the alarms on healthy samples that it did not see.

        Parameters
        ----------
        table : DataFrame, Table, path, or list of these
            Rows of all machines.
        labels : str, optional
            Column with the label of each row; needed for a classifier. A detector is fitted to the rows of
            `normal_label`, without labels to all.

        Returns
        -------
        self : ConditionMonitor

        Raises
        ------
        TableError
            If a file cannot be read.
        ValueError
            If columns are missing, no sample is left, a machine has too few healthy ones, or no row has the normal
            label.
        """
        self._validate_params()
        form = check_format(self.table_format)
        if form.time is None:
            raise ValueError(
                f"{_NAME} needs times: declare them in the format, as in TableFormat(time=TimeColumn('time'))."
            )
        if not (is_outlier_detector(self.estimator) or is_classifier(self.estimator)):
            raise TypeError(
                f"{_NAME} takes an outlier detector or a classifier; {type(self.estimator).__name__} is neither."
            )
        frame = plant_frame(_NAME, table, form, labels)
        self.sensors_ = sensor_columns(frame, form, labels)
        self.units_ = sensor_units(form)
        _refuse_names("sensor", self.sensors_)
        self.limits_ = measuring_ranges(_NAME, self.limits, self.sensors_)
        healthy = None if labels is None or self.normal_label is None else (frame[labels] == self.normal_label)
        self.period_, self.ranges_, self.longest_run_ = learn_rows(
            _NAME, frame, form, self.sensors_, self.limits_, healthy
        )
        samples = samples_of(frame, self._rules(), labels)
        if len(samples) == 0:
            raise ValueError(
                f"{_NAME}: no sample is left of {counted(len(frame), 'row')}. The first row that was not used: "
                f"{samples.unusable['reason'].iloc[0] if len(samples.unusable) else 'too short for a window'}."
            )
        self.machines_ = sorted(set(samples.machine.tolist()))
        healthy, learned = self._who_is_healthy(samples), np.ones(len(samples), dtype=bool)
        later = self._last_ones(samples, healthy)
        learned[later] = False
        if is_outlier_detector(self.estimator):
            learned &= healthy
        self._fit_estimator(samples.at(np.flatnonzero(learned)))
        held = samples.at(np.flatnonzero(later))
        scores = self._judged(held)["score"].to_numpy()
        alarms = Alarms() if self.alarms is None else clone(self.alarms)
        self.alarms_ = alarms.fit(scores, time=held.time, machine=held.machine)
        self.explains_ = self._can_explain(held)
        return self

    def samples(self, table, *, now=None):
        """Judge each row or window by itself: what :meth:`predict` says before it looks at alarms.

        Parameters
        ----------
        table : DataFrame, Table, path, or list of these
        now : datetime-like, optional
            For files: the time of reading; default: that of the clock.

        Returns
        -------
        DataFrame with a row for each sample and each stretch without one, by machine and time
            ``machine``, ``time`` (of the last row of a window, UTC), ``state`` ("normal" or "unusual", a class, or
            "NO_DATA"), ``score`` (larger is healthier: of a classifier the log odds of the normal class, of an
            :class:`sktransfer.OpenSetClassifier` no more than ten times the part of its limit that is left; NaN without
            data), ``probability`` (of the class; NaN for detectors and unknown rows), ``quality`` (what is doubtful or
            missing; empty text if nothing).
        """
        return self.judge(table, now=now)[1]

    def predict(self, table, *, now=None):
        """State, alarm and reason of each sample.

        Parameters
        ----------
        table : DataFrame, Table, path, or list of these
        now : datetime-like, optional
            For files: the time of reading; default: that of the clock.

        Returns
        -------
        DataFrame
            The columns of :meth:`samples`, ``alarm`` (bool) and ``sensors``: of samples in alarm, or that are not
            normal, the sensors that moved most, each with direction, value, unit and usual range.
        """
        samples, found = self.judge(table, now=now)
        judged = found["state"].to_numpy() != NO_DATA
        found["alarm"] = False
        found.loc[judged, "alarm"] = self.alarms_.transform(
            found.loc[judged, "score"].to_numpy(),
            time=found.loc[judged, "time"].to_numpy(),
            machine=found.loc[judged, "machine"].to_numpy(dtype=object),
        )
        found["sensors"] = ""
        asked = np.flatnonzero(found.loc[judged, "alarm"].to_numpy() | self.not_normal(found.loc[judged, "state"]))
        if self.explains_ and len(asked):
            found.loc[np.flatnonzero(judged)[asked], "sensors"] = self.reasons(samples.at(asked))
        return found

    def judge(self, table, *, now=None, may_be_empty=False):
        """Samples and what is said of them, for who goes on with both.

        Parameters
        ----------
        table : DataFrame, Table, path, or list of these
        now : datetime-like, optional
        may_be_empty : bool, default=False
            Whether a frame without a row is answered by none, as a job does that has heard nothing yet.

        Returns
        -------
        samples : Samples
            Those that could be judged.
        found : DataFrame
            As of :meth:`samples`.
        """
        check_is_fitted(self)
        frame = plant_frame(_NAME, table, self.known_format(), now=now, may_be_empty=may_be_empty)
        samples = samples_of(frame, self._rules())
        new = ~pd.Series(samples.machine).isin(self.machines_).to_numpy(dtype=bool)
        if self._gives_domain() and new.any():
            unknown = sorted(set(samples.machine[new].tolist()))
            floats = [one for one in unknown if one.endswith(".0") and one[:-2] in self.machines_]
            hint = f" Is {floats[0]!r} the machine {floats[0][:-2]!r}, written as a float?" if floats else ""
            warn_caller(
                f"{_NAME} has no baseline of {unknown}, which fit did not see: their state is NO_DATA. Fit it to "
                f"healthy rows of theirs.{hint}",
                DataQualityWarning,
            )
        else:
            new[:] = False
        judged, left = samples.at(np.flatnonzero(~new)), samples.at(np.flatnonzero(new))
        rest = samples.unusable.assign(state=NO_DATA, score=np.nan, probability=np.nan)
        if len(left):
            reason = "a machine without a baseline"
            others = pd.DataFrame({"machine": left.machine, "time": left.time, "state": NO_DATA, "reason": reason})
            rest = pd.concat([rest, others.assign(score=np.nan, probability=np.nan)])
        found = pd.concat([self._judged(judged), rest.rename(columns={"reason": "quality"})], ignore_index=True)
        found = found.sort_values(["machine", "time"], kind="stable", ignore_index=True)
        found["time"] = found["time"].dt.tz_localize("UTC")
        return judged, found[["machine", "time", "state", "score", "probability", "quality"]]

    def reasons(self, samples):
        """The sensors that moved most, as text of each sample.

        Parameters
        ----------
        samples : Samples

        Returns
        -------
        list of str
        """
        check_is_fitted(self)
        told = explain_sensors(self.estimator_, samples.X, n_segments=0, **self._domain(samples))  # no text says when
        return sensor_texts(told, self.units_, self.n_sensors)

    # ---- fit

    def _who_is_healthy(self, samples: Samples) -> np.ndarray:
        detector = is_outlier_detector(self.estimator)
        if samples.labels is None:
            if not detector:
                raise ValueError(f"{_NAME} needs labels for a classifier: pass the name of their column to fit.")
            return np.ones(len(samples), dtype=bool)
        if self.normal_label is None:
            raise ValueError(f"{_NAME} needs normal_label, the label of healthy rows, where rows have labels.")
        _refuse_names("label", samples.labels.tolist())
        if NO_DATA in set(samples.labels.tolist()):
            raise ValueError(
                f"{_NAME}: {NO_DATA!r} is a label, and says of a sample that it cannot be judged. Rename it."
            )
        healthy = samples.labels == self.normal_label
        if not healthy.any():
            raise ValueError(
                f"{_NAME}: no sample has the label {self.normal_label!r}. Labels are "
                f"{sorted(set(map(str, samples.labels)))[:10]}."
            )
        return np.asarray(healthy, dtype=bool)

    def _last_ones(self, samples: Samples, healthy: np.ndarray) -> np.ndarray:
        """The last healthy samples of each machine."""
        found = np.zeros(len(samples), dtype=bool)
        rows = np.flatnonzero(healthy)
        of = np.searchsorted(self.machines_, samples.machine[rows].astype(str))
        for k, name in enumerate(self.machines_):
            own = rows[np.searchsorted(of, k) : np.searchsorted(of, k, side="right")]  # in the order of machines
            n = round(self.held_out * len(own))
            if 0 < len(own) < 4:
                n_own = counted(len(own), "healthy sample")
                raise ValueError(
                    f"{_NAME}: {f'machine {name!r}' if name else 'the table'} has {n_own}, of which some must "
                    "be held out for the alarms. Pass at least 4, or leave the machine out."
                )
            found[own[len(own) - n :]] = True
        return found

    def _fit_estimator(self, samples: Samples) -> None:
        estimator, y = clone(self.estimator), samples.labels
        params: dict[str, Any] = {}
        if self._gives_domain():
            params = {"sample_domain": samples.machine}
            params = for_steps(estimator, "fit", params) if isinstance(estimator, Pipeline) else params
        self.estimator_ = estimator.fit(samples.X, y, **params) if y is not None else estimator.fit(samples.X, **params)
        self.classes_ = None if is_outlier_detector(self.estimator) else np.asarray(self.estimator_.classes_)

    def _can_explain(self, held: Samples) -> bool:
        """Whether `explain_sensors` knows this kind of estimator."""
        try:
            explain_sensors(self.estimator_, held.at(np.arange(1)).X, **self._domain(held.at(np.arange(1))))
        except (TypeError, ValueError) as error:
            warn_caller(f"{_NAME}: alarms will not name sensors. {error}", DataQualityWarning)
            return False
        return True

    # ---- predict

    def _rules(self) -> RowRules:
        form = self.table_format
        return RowRules(
            self.sensors_, form.time.name, form.machine, self.limits_, self.longest_run_, self.period_, self.windows
        )

    def known_format(self) -> TableFormat:
        """The format, with the sensors of fit where it names none."""
        form = self.table_format
        return form if form.sensors is not None else clone(form).set_params(sensors=self.sensors_)

    def _judged(self, samples: Samples) -> pd.DataFrame:
        n = len(samples)
        table = {"machine": samples.machine, "time": samples.time, "quality": samples.flag}
        if n == 0:
            empty = {"state": np.empty(0, dtype=object), "score": np.empty(0), "probability": np.empty(0)}
            return pd.DataFrame(table | empty)
        if self.classes_ is None:
            score = np.asarray(self._ask("score_samples", samples), dtype=np.float64)
            state = np.where(np.asarray(self._ask("predict", samples)) == -1, UNUSUAL, USUAL)
            return pd.DataFrame(table | {"state": state, "score": score, "probability": np.full(n, np.nan)})
        proba = np.asarray(self._ask("predict_proba", samples), dtype=np.float64)
        normal, probability = self.classes_.tolist().index(self.normal_label), proba.max(axis=1)
        state = np.asarray(self._ask("predict", samples), dtype=object)
        last = self.estimator_.steps[-1][1] if isinstance(self.estimator_, Pipeline) else self.estimator_
        if isinstance(last, OpenSetClassifier):
            score = open_set_score(last, self._ask("unlikeness", samples), proba, normal)
            probability = np.where(state == last.unknown_label_, np.nan, probability)
        else:
            score = log_odds(proba, normal)
        return pd.DataFrame(table | {"state": state, "score": score, "probability": probability})

    def not_normal(self, states: pd.Series) -> np.ndarray:
        """Whether a state is another than the healthy one."""
        return np.asarray(states != (USUAL if self.classes_ is None else self.normal_label))

    def _gives_domain(self) -> bool:
        """Whether the estimator keeps machines apart, and the table tells them apart."""
        return self.table_format.machine is not None and takes_domain(self.estimator, "fit")

    def _domain(self, samples: Samples) -> dict[str, Any]:
        return {"sample_domain": samples.machine} if self._gives_domain() else {}

    def _ask(self, method: str, samples: Samples) -> Any:
        if self._gives_domain() and isinstance(self.estimator_, Pipeline):
            return through_steps(self.estimator_, method, samples.X, samples.machine)
        if isinstance(self.estimator_, Pipeline) and not hasattr(self.estimator_, method):
            return getattr(self.estimator_.steps[-1][1], method)(self.estimator_[:-1].transform(samples.X))
        takes = self._gives_domain() and takes_domain(self.estimator_, method)
        return getattr(self.estimator_, method)(samples.X, **(self._domain(samples) if takes else {}))


def _refuse_names(what: str, names: list[Any]) -> None:
    """Refuse what reports could not show, before it stands in a model file."""
    for one in dict.fromkeys(names):
        if isinstance(one, str) and (why := why_no_name(one)):
            raise ValueError(
                f"{_NAME}: the {what} {ascii(one)[:60]} cannot be named in reports: it {why}. Rename it in the table."
            )
