"""TransferGainDisplay: scores, or gains, against the number of labels.

::

    Comparison --> mean of each method and its spread over draws | gain over each alternative and its interval --> axes
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sktransfer.evaluation.baselines import SCRATCH, SOURCE
from sktransfer.evaluation.compare import compare
from sktransfer.evaluation.comparison import Comparison
from sktransfer.utils.parameters import invalid_parameter

# Okabe and Ito's colours, which differ for colour-blind eyes, too; a pooled baseline has the colour of its plain one.
_OWN = {"color": "#0072B2", "marker": "o", "linewidth": 2.6, "zorder": 4}
_STYLES: dict[str, dict[str, Any]] = {
    SCRATCH: {"color": "#D55E00", "marker": "s", "linewidth": 1.8, "zorder": 3},
    SOURCE: {"color": "0.35", "marker": "", "linestyle": (0, (5, 2)), "linewidth": 1.6},
    "logistic regression": {"color": "#009E73", "marker": "^"},
    "ridge regression": {"color": "#009E73", "marker": "^"},
    "random forest": {"color": "#CC79A7", "marker": "D"},
    "gradient boosting": {"color": "#E69F00", "marker": "v"},
    "pooled logistic regression": {"color": "#009E73", "marker": "^", "linestyle": ":"},
    "pooled ridge regression": {"color": "#009E73", "marker": "^", "linestyle": ":"},
    "pooled extra trees": {"color": "#CC79A7", "marker": "D", "linestyle": ":"},
}
_OTHERS = ("#56B4E9", "#000000", "#8B5A2B", "#6A3D9A", "#808000")
_OTHER_MARKERS = ("P", "X", "*", "<", ">")


class TransferGainDisplay:
    """Plot of what :func:`sktransfer.compare` found, in scikit-learn's convention of displays.

    Make one by :meth:`from_results` or :meth:`from_estimator`, which draw it; :meth:`plot` draws it again.

    Parameters
    ----------
    results : Comparison
        What :func:`sktransfer.compare` returned.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    lines_ : list of matplotlib Line2D
        One a method, in the order of ``results.methods``.

    See Also
    --------
    compare : Makes the results.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import numpy as np
    >>> from sktransfer import TransferClassifier, TransferGainDisplay
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(80, 3))
    >>> y = np.where(X[:, 0] > 0, "leak", "normal")
    >>> model = TransferClassifier(max_epochs=5, random_state=0)
    >>> shown = TransferGainDisplay.from_estimator(model, X, y, n_labels=(1, 5), n_draws=5)
    >>> shown.ax_.get_xlabel()
    'labels a class'
    """

    def __init__(self, results):
        self.results = results

    @classmethod
    def from_results(cls, results, *, kind="score", methods=None, ax=None):
        """Draw the results of :func:`sktransfer.compare`.

        Parameters
        ----------
        results : Comparison
        kind : {"score", "gain"}, default="score"
            As in :meth:`plot`.
        methods : sequence of str or None, default=None
            As in :meth:`plot`.
        ax : matplotlib Axes or None, default=None
            None: a new figure.

        Returns
        -------
        TransferGainDisplay

        Raises
        ------
        TypeError
            If `results` is something else.
        ImportError
            Without matplotlib.
        """
        if not isinstance(results, Comparison):
            raise TypeError(
                "TransferGainDisplay.from_results takes what sktransfer.compare returns, got a "
                f"{type(results).__name__}. For an estimator use TransferGainDisplay.from_estimator."
            )
        return cls(results).plot(ax, kind=kind, methods=methods)

    @classmethod
    def from_estimator(cls, estimator, X, y, *, kind="score", methods=None, ax=None, **params):
        """Compare an estimator with the alternatives, and draw the results.

        Parameters
        ----------
        estimator : estimator
            As in :func:`sktransfer.compare`.
        X : array-like of shape (n_samples, n_features) or (n_windows, n_channels, window_length)
            Labelled rows or windows of the target machine.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Classes or values.
        kind : {"score", "gain"}, default="score"
            As in :meth:`plot`.
        methods : sequence of str or None, default=None
            As in :meth:`plot`.
        ax : matplotlib Axes or None, default=None
            None: a new figure.
        **params : dict
            Other parameters of :func:`sktransfer.compare`.

        Returns
        -------
        TransferGainDisplay
            With the comparison as ``results``.
        """
        _pyplot()  # better missing now than after an hour of fits
        _check_kind(kind)
        return cls(compare(estimator, X, y, **params)).plot(ax, kind=kind, methods=methods)

    def plot(self, ax=None, *, kind="score", methods=None):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            None: a new figure.
        kind : {"score", "gain"}, default="score"
            ``"score"``: mean score of each method, with a band of one standard deviation over draws. ``"gain"``: gain
            of the estimator over each alternative, with its 95 % interval.
        methods : sequence of str or None, default=None
            Which methods to draw beside the estimator, the network from scratch and the source network as it is, which
            are drawn always; None: all.

        Returns
        -------
        TransferGainDisplay
            This display.

        Raises
        ------
        ValueError
            For another `kind`, and for methods that were not compared.
        ImportError
            Without matplotlib.
        """
        _check_kind(kind)
        drawn = self._methods(methods)
        if ax is None:
            _, ax = _pyplot().subplots(figsize=(8.6, 4.6), layout="constrained")
        self.ax_, self.figure_, self.lines_ = ax, ax.figure, []
        numbers = sorted(self.results.frame["n_labels"].unique())
        self._draw_scores(drawn) if kind == "score" else self._draw_gains(drawn)
        ax.set_xscale("log")
        if len(numbers) == 1:
            ax.set_xlim(numbers[0] / 1.8, numbers[0] * 1.8)
        ax.set_xticks(numbers, [str(n) for n in numbers])
        ax.minorticks_off()
        ax.set_xlabel(self.results.unit)
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(axis="y", alpha=0.3, linewidth=0.6)
        self._add_legend()
        return self

    def _methods(self, methods: Any) -> list[str]:
        known = self.results.methods
        if methods is None:
            return known
        if isinstance(methods, str) or not set(methods) <= set(known):
            raise invalid_parameter("TransferGainDisplay", "methods", f"be a list of some of {known}", methods)
        return [name for name in known if name in {*methods, self.results.name, SCRATCH, SOURCE}]

    def _style(self, name: str) -> dict[str, Any]:
        own = _OWN if name == self.results.name else _STYLES.get(name)
        if own is None:
            others = [m for m in self.results.methods if m != self.results.name and m not in _STYLES]
            k = others.index(name) % len(_OTHERS)
            own = {"color": _OTHERS[k], "marker": _OTHER_MARKERS[k]}
        return {"linewidth": 1.4, "markersize": 5, "zorder": 2, **own}

    def _draw_scores(self, drawn: list[str]) -> None:
        metric = self.results.metric
        factor = -1 if metric.is_error else 1
        for name in drawn:
            part = self.results.frame[self.results.frame["method"] == name]
            grouped = part.groupby("n_labels")["score"]
            mean, spread = factor * grouped.mean(), grouped.std(ddof=0)
            self._draw(name, mean, mean - spread, mean + spread)
        better = "less is better" if metric.is_error else "more is better"
        self.ax_.set_ylabel(f"{metric.words} ({better})")
        self.ax_.set_title(f"Mean of {self.results.n_draws} draws; bands: one standard deviation", fontsize=10)

    def _draw_gains(self, drawn: list[str]) -> None:
        metric, gains = self.results.metric, self.results.gains
        factor = 100 if metric.in_points else 1
        for name in drawn:
            if name == self.results.name:
                self.lines_.append(self.ax_.axhline(0, label=name, **{**self._style(name), "marker": ""}))
                continue
            part = gains[gains["alternative"] == name].set_index("n_labels")
            self._draw(name, *(factor * part[column] for column in ("gain", "low", "high")))
        unit = f"points of {metric.words}" if metric.in_points else metric.words
        self.ax_.set_ylabel(f"gain of {self.results.name}, {unit}")
        self.ax_.set_title(f"Above zero {self.results.name} is better; bands: 95 % intervals", fontsize=10)

    def _draw(self, name: str, mean: pd.Series, low: pd.Series, high: pd.Series) -> None:
        style, strong = self._style(name), name in (self.results.name, SCRATCH)
        if len(mean) == 1:  # a band has no width there: bars beside each other
            x = mean.index.to_numpy() * 1.05 ** (len(self.lines_) - len(self.results.methods) / 2)
            self.ax_.vlines(x, low, high, color=style["color"], linewidth=style["linewidth"], zorder=style["zorder"])
            style |= {"marker": style["marker"] or "_", "markersize": 8}
        else:
            x, finite = mean.index.to_numpy(), np.isfinite(low) & np.isfinite(high)
            self.ax_.fill_between(
                x, low, high, where=finite, color=style["color"], alpha=0.18 if strong else 0.07, linewidth=0,
                zorder=style["zorder"] - 1,
            )  # fmt: skip
        (line,) = self.ax_.plot(x, mean, label=name, **style)
        self.lines_.append(line)

    def _add_legend(self) -> None:
        """Beside the axes, in the order in which the lines end."""
        last = [float(np.asarray(line.get_ydata(), dtype=float)[-1]) for line in self.lines_]
        order = np.argsort(np.nan_to_num(last, nan=-np.inf), kind="stable")[::-1]
        handles = [self.lines_[k] for k in order]
        self.ax_.legend(handles=handles, loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=9)


def _check_kind(kind: Any) -> None:
    if kind not in ("score", "gain"):
        raise invalid_parameter("TransferGainDisplay", "kind", "be 'score' or 'gain'", kind)


def _pyplot() -> Any:
    try:
        import matplotlib.pyplot
    except ImportError as error:
        raise ImportError(
            "TransferGainDisplay draws with matplotlib, which is not installed. Install it with pip install matplotlib."
        ) from error
    return matplotlib.pyplot
