"""The verdict: what the gains say, in sentences.

::

    gain over the best alternative, for each number of labels --> gain | loss | nothing | open
    neighbours of one kind --> one sentence
    gain over the source network as it is --> one sentence;  what to take --> the last one
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from sktransfer.evaluation.baselines import SCRATCH, SOURCE
from sktransfer.evaluation.intervals import Interval
from sktransfer.evaluation.metrics import Metric

FEWEST_DRAWS = 5
# A gain that is surely smaller is called none: two points, or two hundredths of an error.
_NEGLIGIBLE = 0.02
_IN_WORDS = {SCRATCH: "the same network from scratch", SOURCE: "the source network as it is"}


@dataclass(frozen=True)
class Finding:
    """What was found at one number of labels.

    Parameters
    ----------
    n_labels : int
    best : str
        The alternative with the highest mean score; the source network as it is only if there is no other.
    gain : Interval
        Of the estimator over the best alternative.
    score, best_score : float
        Means of the two.
    over : dict of str to Interval
        Gains over each alternative, each for itself.
    """

    n_labels: int
    best: str
    gain: Interval
    score: float
    best_score: float
    over: dict[str, Interval]


def kind_of(gain: Interval, best_score: float, metric: Metric) -> str:
    """``"gain"``, ``"loss"``, ``"nothing"`` (surely small) or ``"open"`` (the draws do not decide)."""
    if gain.low > 0:
        return "gain"
    if gain.high < 0:
        return "loss"
    small = _NEGLIGIBLE * (abs(best_score) if metric.is_error else 1.0)
    return "nothing" if max(-gain.low, gain.high) <= small else "open"


@dataclass(frozen=True)
class Words:
    """How sentences name things.

    Parameters
    ----------
    metric : Metric
    name : str
        Of the estimator.
    unit : str
        Of the numbers of labels, such as "labels a class".
    """

    metric: Metric
    name: str
    unit: str

    def amounts(self, run: Sequence[Finding], gain: Callable[[Finding], Interval]) -> str:
        """The gains at the first and the last of neighbouring numbers of labels, with their intervals."""
        told = [run[0]] if len(run) == 1 else [run[0], run[-1]]
        parts = []
        for one in told:
            interval = gain(one)
            low, high = self._number(interval.low), self._number(interval.high)
            where = f" at {one.n_labels}" if len(told) > 1 else ""
            parts.append(f"{self.amount(interval.value)} ({low} to {high}){where}")
        return in_a_list(parts)

    def amount(self, value: float) -> str:
        """A difference of scores with its unit."""
        number = self._number(value)
        if not self.metric.in_points:
            return f"{number} in {self.metric.words}"
        return f"{number} point{'' if number in ('1', '-1', '1.0', '-1.0') else 's'}"

    def where(self, run: Sequence[Finding]) -> str:
        """Numbers of labels, as the beginning of a sentence."""
        first, last = run[0].n_labels, run[-1].n_labels
        return f"At {self.count(first)}" if first == last else f"From {first} to {self.count(last)}"

    def count(self, n: int) -> str:
        """A number of labels with its unit."""
        word, _, rest = self.unit.rpartition("labels")
        return f"{n} {word}label{rest}" if n == 1 and "labels" in self.unit else f"{n} {self.unit}"

    def _number(self, value: float) -> str:
        if not np.isfinite(value):
            return "unknown"
        if not self.metric.in_points:
            return f"{value:.2g}"
        value *= 100
        rounded = f"{value:.0f}" if abs(value) >= 1.95 else f"{value:.1f}"
        return "0" if float(rounded) == 0 else rounded


def in_a_list(parts: Sequence[str]) -> str:
    """Joined by commas and a last "and"."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def verdict_of(findings: Sequence[Finding], words: Words, *, n_draws: int, chance: float | None = None) -> str:
    """Sentences that say whether the estimator pays, and what to take.

    Parameters
    ----------
    findings : sequence of Finding
        By ascending number of labels.
    words : Words
    n_draws : int
    chance : float or None
        Score of guessing.

    Returns
    -------
    str
    """
    if n_draws < FEWEST_DRAWS:
        means = in_a_list([f"{words.amount(one.gain.value)} over {one.best} at {one.n_labels}" for one in findings])
        return (
            f"{n_draws} draw{'s' * (n_draws > 1)} of labelled rows say too little to tell whether {words.name} pays "
            f"({words.unit}: {means}, which may be chance). Pass n_draws of at least {FEWEST_DRAWS}, better 10."
        )
    kinds = [(kind_of(one.gain, one.best_score, words.metric), one) for one in findings]
    sentences: list[str] = []
    for kind, pairs in groupby(kinds, key=lambda pair: pair[0]):
        sentences.append(_sentence(kind, [one for _, one in pairs], words, is_first=not sentences))
    sentences += _sources(findings, words)
    highest = max(max(one.score, one.best_score) for one in findings)
    if chance is not None and highest < chance + _NEGLIGIBLE:
        sentences.append(
            f"Nothing here is better than guessing ({chance:.2f}): look at labels, columns and scaling first."
        )
    else:
        sentences.append(_advice(kinds, words))
    return " ".join(sentences)


def _sentence(kind: str, run: list[Finding], words: Words, is_first: bool) -> str:
    who = words.name if is_first else "it"
    rivals = in_a_list(list(dict.fromkeys(_IN_WORDS.get(one.best, one.best) for one in run)))
    amounts = words.amounts(run, lambda one: one.gain)
    if kind == "gain":
        return f"{words.where(run)} {who} gains {amounts} over the best alternative, {rivals}."
    if kind == "loss":
        lost = words.amounts(run, lambda one: _turned(one.gain))
        return f"{words.where(run)} {who} loses {lost} to the best alternative, {rivals}."
    if kind == "nothing":
        return f"{words.where(run)} {who} gains nothing over the best alternative, {rivals}: {amounts}."
    pair = f"{words.name} and the best alternative, {rivals}"
    return f"{words.where(run)} the draws do not decide between {pair}: {amounts}."


def _turned(gain: Interval) -> Interval:
    return Interval(-gain.value, -gain.high, -gain.low)


def _sources(findings: Sequence[Finding], words: Words) -> list[str]:
    """What the labels add to the source network, and where its weights do harm."""
    sentences = []
    compared = [one for one in findings if SOURCE in one.over and one.best != SOURCE]
    kinds = [(kind_of(one.over[SOURCE], one.score, words.metric), one) for one in compared]
    for kind, pairs in groupby(kinds, key=lambda pair: pair[0]):
        run = [one for _, one in pairs]
        amounts = words.amounts(run, lambda one: one.over[SOURCE])
        if kind == "loss":
            amounts = words.amounts(run, lambda one: _turned(one.over[SOURCE]))
            sentences.append(f"{words.where(run)} the source network as it is, without labels, is better by {amounts}.")
        elif kind != "gain":
            what = "add nothing to" if kind == "nothing" else "do not surely add to"
            sentences.append(f"{words.where(run)} the labels {what} the source network as it is: {amounts}.")
    harmed = [one for one in findings if SCRATCH in one.over and one.over[SCRATCH].high < 0]
    if harmed:
        amounts = words.amounts(harmed, lambda one: _turned(one.over[SCRATCH]))
        sentences.append(
            f"{words.where(harmed)} the source does harm: the same network from scratch is better by {amounts}."
        )
    return sentences


def _advice(kinds: list[tuple[str, Finding]], words: Words) -> str:
    """What to take: the estimator where it gains, or where the draws do not decide and its mean is higher."""

    def taken(kind: str, one: Finding) -> str:
        over_source, rival = one.over.get(SOURCE), _IN_WORDS.get(one.best, one.best)
        with_transfer = kind == "gain" or (kind == "open" and one.gain.value > 0)
        if over_source is not None and (over_source.high < 0 or (with_transfer and over_source.value < 0)):
            return _IN_WORDS[SOURCE] if with_transfer or over_source.value < one.gain.value else rival
        return words.name if with_transfer else rival

    runs = [(who, [one.n_labels for _, one in run]) for who, run in groupby(kinds, key=lambda pair: taken(*pair))]
    if len(runs) == 1:
        return f"On your data take {runs[0][0]}."
    (who, numbers), *others = runs
    first = f"{who} {'at' if len(numbers) == 1 else 'up to'} {words.count(numbers[-1])}"
    return f"On your data take {in_a_list([first, *[f'{who} from {numbers[0]} on' for who, numbers in others]])}."
