"""SensorContributionDisplay: which sensors it was, and what they did.

::

    explain_sensors --> mean share of each sensor --> bars, largest first
    X --> the three first sensors --> course over the window, or over the rows, with the usual range
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sktransfer.monitoring.explain_samples import Samples
from sktransfer.monitoring.explain_sensors import explain_sensors
from sktransfer.utils.parameters import invalid_parameter, is_whole

# Okabe and Ito's colours, which differ for colour-blind eyes, too.
_COLORS = ("#D55E00", "#0072B2", "#009E73")
_OTHERS, _USUAL = "0.65", "0.9"
_TRENDS = 3
_LONGEST = 28  # letters of a name that are drawn
_NEEDED = ("sample", "sensor", "share", "direction", "value", "usual_low", "usual_high", "effect")


class SensorContributionDisplay:
    """Plot of what :func:`sktransfer.explain_sensors` found, in scikit-learn's convention of displays.

    Bars of the sensors' shares, mean over the samples, stand over the course of the three that have most: over a window
    where it is one, else over the samples, with the usual range behind and the stretch that matters shaded.

    Make one by :meth:`from_estimator` or :meth:`from_explanation`, which draw it; :meth:`plot` draws it again.

    Parameters
    ----------
    explanation : DataFrame
        What :func:`sktransfer.explain_sensors` returned.
    X : array-like of shape (n_samples, n_sensors) or (n_windows, n_sensors, window_length), optional
        The samples; without them the course is that of the values of the explanation.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        The bars, then a course for each of the first sensors.
    figure_ : matplotlib Figure
    sensors_ : list
        Those of the bars, the largest share first.

    See Also
    --------
    explain_sensors : Makes the explanation.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import numpy as np
    >>> from sktransfer import BaselineScaler, SensorContributionDisplay, TransferDetector, make_pipeline
    >>> healthy = np.random.default_rng(0).normal(size=(500, 3)) + [100, 5, 20]
    >>> detector = make_pipeline(BaselineScaler(), TransferDetector()).fit(healthy)
    >>> shown = SensorContributionDisplay.from_estimator(detector, [[100, 5, 20], [100, 5, 30]])
    >>> shown.sensors_[0]
    'x2'
    """

    def __init__(self, explanation, X=None):
        self.explanation = explanation
        self.X = X

    @classmethod
    def from_explanation(cls, explanation, X=None, *, n_sensors=10, axes=None):
        """Draw what :func:`sktransfer.explain_sensors` returned.

        Parameters
        ----------
        explanation : DataFrame
        X : array-like of shape (n_samples, n_sensors) or (n_windows, n_sensors, window_length), optional
            The samples that were explained, for the course within a window.
        n_sensors : int, default=10
            As in :meth:`plot`.
        axes : sequence of matplotlib Axes or None, default=None
            As in :meth:`plot`.

        Returns
        -------
        SensorContributionDisplay

        Raises
        ------
        TypeError
            If `explanation` is something else.
        ImportError
            Without matplotlib.
        """
        missing = [name for name in _NEEDED if name not in getattr(explanation, "columns", ())]
        if missing:
            raise TypeError(
                "SensorContributionDisplay.from_explanation takes what sktransfer.explain_sensors returns, got a "
                f"{type(explanation).__name__} without {missing}. For an estimator use from_estimator."
            )
        return cls(explanation, X).plot(n_sensors=n_sensors, axes=axes)

    @classmethod
    def from_estimator(cls, estimator, X, *, sample_domain=None, n_sensors=10, axes=None, **params):
        """Explain samples, and draw which sensors it was.

        Parameters
        ----------
        estimator : estimator
            As in :func:`sktransfer.explain_sensors`.
        X : array-like of shape (n_samples, n_sensors) or (n_windows, n_sensors, window_length)
            Samples of one event, in order of time.
        sample_domain : array-like of shape (n_samples,), optional
            Machine of each sample.
        n_sensors : int, default=10
            As in :meth:`plot`.
        axes : sequence of matplotlib Axes or None, default=None
            As in :meth:`plot`.
        **params : dict
            Other parameters of :func:`sktransfer.explain_sensors`.

        Returns
        -------
        SensorContributionDisplay
        """
        _pyplot()  # better missing now than after the explanation
        found = explain_sensors(estimator, X, sample_domain=sample_domain, **params)
        return cls(found, X).plot(n_sensors=n_sensors, axes=axes)

    def plot(self, *, n_sensors=10, axes=None):
        """Draw.

        Parameters
        ----------
        n_sensors : int, default=10
            Bars at most; what the others have together is said below.
        axes : sequence of matplotlib Axes or None, default=None
            The first gets the bars, each other one a course; None: a new figure.

        Returns
        -------
        SensorContributionDisplay
            This display.

        Raises
        ------
        ValueError
            For an `n_sensors` that is no whole number of at least 1.
        ImportError
            Without matplotlib.
        """
        if not is_whole(n_sensors) or n_sensors < 1:
            raise invalid_parameter(
                "SensorContributionDisplay", "n_sensors", "be a whole number of at least 1", n_sensors
            )
        shares = self.explanation.groupby("sensor", sort=False)["share"].mean()
        shares = shares.sort_values(ascending=False, kind="stable")
        n_bars, n_trends = min(n_sensors, len(shares)), min(_TRENDS, len(shares))
        self.sensors_ = shares.index[:n_bars].tolist()
        if axes is None:
            axes = _new_axes(n_bars, n_trends)
        self.axes_ = np.atleast_1d(np.asarray(axes, dtype=object)).ravel()
        self.figure_ = self.axes_[0].figure
        self._draw_bars(self.axes_[0], shares, n_bars)
        drawn = list(zip(self.axes_[1:], shares.index[:n_trends], strict=False))
        for number, (ax, sensor) in enumerate(drawn):
            self._draw_course(ax, sensor, _COLORS[number])
            if number < len(drawn) - 1:
                ax.tick_params(labelbottom=False)
        if drawn:
            drawn[-1][0].set_xlabel(self._unit())
        return self

    # ---- bars

    def _draw_bars(self, ax: Any, shares: pd.Series, n_bars: int) -> None:
        heights = shares.iloc[:n_bars].tolist()
        names = [_short(sensor) for sensor in shares.index[:n_bars]]
        colors = [_COLORS[k] if k < _TRENDS else _OTHERS for k in range(n_bars)]
        place = np.arange(len(heights))
        ax.barh(place, heights, color=colors, height=0.72)
        ax.set_yticks(place, names, fontsize=9)
        ax.set_ylim(len(heights) - 0.4, -0.6)
        ax.set_xlim(0, max(1e-3, 1.18 * max(heights)))
        for at, height in zip(place, heights, strict=True):
            ax.text(height, at, f" {100 * height:.0f} %", va="center", fontsize=8, color="0.3")
        n_samples = self.explanation["sample"].nunique()
        words = "share" if n_samples == 1 else f"share, mean of {n_samples} samples"
        if len(shares) > n_bars:
            words += f"; {100 * shares.iloc[n_bars:].sum():.0f} % lie with {len(shares) - n_bars} other sensors"
        ax.set_xlabel(words, fontsize=9)
        ax.set_title(self._title(), fontsize=10, loc="left")
        ax.spines[["top", "right"]].set_visible(False)
        ax.tick_params(axis="y", length=0)

    def _title(self) -> str:
        if "class" not in self.explanation:
            return "Which sensors it was"
        classes = self.explanation.groupby("sample")["class"].first()
        named = classes.value_counts().index
        more = "" if len(named) == 1 else f" and {len(named) - 1} other classes"
        return f"Which sensors speak for {_short(named[0])!r}{more}"

    # ---- course of a sensor

    def _draw_course(self, ax: Any, sensor: Any, color: str) -> None:
        rows = self.explanation[self.explanation["sensor"] == sensor].sort_values("sample")
        at, course = self._course(rows, sensor)
        low, high = (rows[name].iloc[-1] if self._is_window() else rows[name].to_numpy() for name in _NEEDED[5:7])
        if np.isfinite(low).any():
            edge = np.array([at[0] - 0.5, at[-1] + 0.5]) if len(at) == 1 else at
            ax.fill_between(edge, low, high, color=_USUAL, linewidth=0, zorder=0)
        start, end = (rows[name].iloc[-1] if name in rows else pd.NA for name in ("start", "end"))
        if self._is_window() and not pd.isna(start):
            ax.axvspan(at[int(start)], at[int(end) - 1], color=color, alpha=0.12, linewidth=0, zorder=1)
        ax.plot(at, course, color=color, linewidth=1.4, marker="o" if len(at) <= 40 else "", markersize=3, zorder=3)
        ax.set_title(_short(sensor, 70), fontsize=9, loc="left", pad=3, color=color)
        ax.margins(x=0.02)
        ax.tick_params(labelsize=8)
        ax.locator_params(axis="y", nbins=4)
        if len(at) == 1:
            ax.set_xticks(at)
        ax.spines[["top", "right"]].set_visible(False)

    def _is_window(self) -> bool:
        return self.X is not None and np.ndim(self.X) == 3 and len(self.X) == 1

    def _course(self, rows: pd.DataFrame, sensor: Any) -> tuple[np.ndarray, np.ndarray]:
        if not self._is_window():
            return rows["sample"].to_numpy(), rows["value"].to_numpy()
        samples = Samples(self.X)
        window = samples.values[0]
        names = self.explanation.attrs.get("sensors") or samples.names(None)
        rate = getattr(self.X, "sampling_rate", None)
        at = np.arange(window.shape[1]) / (rate or 1.0)
        return at, window[names.index(sensor)]

    def _unit(self) -> str:
        if not self._is_window():
            return "sample"
        return "sample of the window" if getattr(self.X, "sampling_rate", None) is None else "time in the window, s"


def _new_axes(n_bars: int, n_trends: int) -> list[Any]:
    plt = _pyplot()
    bars, course = 0.9 + 0.26 * n_bars, 1.15
    figure = plt.figure(figsize=(7.6, bars + course * n_trends + 0.4), layout="constrained")
    grid = figure.add_gridspec(1 + n_trends, 1, height_ratios=[bars, *[course] * n_trends])
    axes = [figure.add_subplot(grid[0])]
    for k in range(n_trends):
        axes.append(figure.add_subplot(grid[k + 1], sharex=axes[1] if k else None))
    return axes


def _short(name: Any, longest: int = _LONGEST) -> str:
    """A name that leaves room for the bars."""
    text = str(name)
    return text if len(text) <= longest else f"{text[: longest // 2]}…{text[-longest // 2 + 1 :]}"


def _pyplot() -> Any:
    try:
        import matplotlib.pyplot
    except ImportError as error:
        raise ImportError(
            "SensorContributionDisplay draws with matplotlib, which is not installed. Install it with pip install "
            "'sktransfer[demo]', or matplotlib alone."
        ) from error
    return matplotlib.pyplot
