"""Rows of the table about one fit: head only, two blocks, everything, windows, a solved head."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression

from benchmarks.speed.measure import OURS, Comparison, Result, interleave, seconds
from benchmarks.speed.peers import Predict, Recipe, fit_by_hand, fit_loop, fit_skorch, in_inference
from benchmarks.speed.problem import (
    STANDARD,
    Problem,
    Settings,
    Size,
    labelled_rows,
    make_problem,
    ours,
    pretrained,
    training_flops,
    window_problem,
)
from sktransfer import FineTuning, LinearProbing

SKORCH, LOOP, BY_HAND = "skorch", "torch loop", "hand-written backward"
KEPT = "BatchNorm of blocks that learn keeps the source's statistics in ours and in the loop, and not in skorch."


def fit_ours(problem: Problem, settings: Settings, **arguments: Any) -> Predict:
    """One fit of ours."""
    return ours(problem.backbone, settings, **arguments).fit(problem.X, problem.y).predict


def accuracies(problem: Problem, predictors: dict[str, Predict]) -> dict[str, float]:
    """Share of right answers on rows that no fit has seen."""
    return {name: float(np.mean(predict(problem.X_test) == problem.y_test)) for name, predict in predictors.items()}


def compare_fits(
    settings: Settings, size: Size, n_frozen: int, n_rows: int, n_epochs: int, strategy: Any, by_hand: bool = False
) -> tuple[Problem, dict, dict, dict]:
    """Samples, accuracies and arithmetic of ours, skorch and the loop on one problem."""
    rows = size.n_rows or settings.pick(n_rows, 600)
    epochs = settings.pick(n_epochs, 2)
    problem, recipe = make_problem(size.widths, rows), Recipe(epochs=epochs, device=settings.device)
    methods: dict[str, Callable[[], Predict]] = {
        OURS: partial(fit_ours, problem, settings, strategy=strategy, max_epochs=epochs),
        SKORCH: partial(fit_skorch, problem, n_frozen, recipe),
        LOOP: partial(fit_loop, problem, n_frozen, recipe),
    }
    if by_hand:
        methods[BY_HAND] = partial(fit_by_hand, problem, recipe)
    samples, predictors = interleave(methods, settings.repeats)
    flops = training_flops(32, size.widths, n_frozen, rows, epochs, problem.n_classes)
    return problem, samples, accuracies(problem, predictors), dict.fromkeys((OURS, LOOP), flops)


def described(what: str, size: Size, problem: Problem, settings: Settings, epochs: int) -> str:
    return f"{what}, {size}, {len(problem.X):,} rows, {settings.pick(epochs, 2)} epochs"


def head_only(settings: Settings, size: Size = STANDARD) -> list[Result]:
    """Only the head learns, 10,000 rows, 20 epochs."""
    problem, samples, scores, flops = compare_fits(
        settings, size, len(size.widths), 10_000, 20, LinearProbing(), by_hand=True
    )
    comparisons = [
        Comparison(SKORCH, "faster", must=4, aim=6),
        Comparison(LOOP, "time", must=1.15),
        Comparison(BY_HAND, "time"),
    ]
    what = described("head-only fit", size, problem, settings, 20)
    return [Result("head" + size.suffix, what, "s", samples, comparisons, scores=scores, flops=flops)]


def head_only_large(settings: Settings) -> list[Result]:
    """Only the head learns, 100,000 rows, 5 epochs."""
    problem, samples, scores, flops = compare_fits(settings, STANDARD, 4, 100_000, 5, LinearProbing(), by_hand=True)
    comparisons = [
        Comparison(SKORCH, "faster", must=3.2, aim=4.3),
        Comparison(LOOP, "time", must=1.15),
        Comparison(BY_HAND, "time"),
    ]
    what = described("head-only fit", STANDARD, problem, settings, 5)
    return [Result("head-large", what, "s", samples, comparisons, scores=scores, flops=flops)]


def upper_half(settings: Settings, size: Size = STANDARD) -> list[Result]:
    """The upper half of the blocks learns."""
    n_frozen = len(size.widths) // 2
    problem, samples, scores, flops = compare_fits(
        settings, size, n_frozen, 10_000, 20, FineTuning(n_frozen_blocks=n_frozen)
    )
    comparisons = [Comparison(SKORCH, "faster", must=1.6), Comparison(LOOP, "time", must=1.15)]
    learning = len(size.widths) - n_frozen
    what = described(f"{learning} upper block{'s' * (learning > 1)} unfrozen", size, problem, settings, 20)
    return [Result("upper" + size.suffix, what, "s", samples, comparisons, [KEPT], scores, flops)]


def everything(settings: Settings, size: Size = STANDARD) -> list[Result]:
    """All blocks learn."""
    problem, samples, scores, flops = compare_fits(settings, size, 0, 10_000, 20, FineTuning())
    comparisons = [Comparison(SKORCH, "faster", must=1.3), Comparison(LOOP, "time", must=1.2)]
    what = described("everything fine-tuned", size, problem, settings, 20)
    return [Result("full" + size.suffix, what, "s", samples, comparisons, [KEPT], scores, flops)]


def windows(settings: Settings) -> list[Result]:
    """Only the head learns, on windows behind a frozen convolutional network."""
    rows, epochs = settings.pick(10_000, 200), settings.pick(20, 2)
    problem, recipe = window_problem(rows), Recipe(epochs=epochs, device=settings.device)
    n_frozen = len(problem.backbone.blocks)
    methods: dict[str, Callable[[], Predict]] = {
        OURS: partial(fit_ours, problem, settings, strategy=LinearProbing(), max_epochs=epochs),
        SKORCH: partial(fit_skorch, problem, n_frozen, recipe),
        LOOP: partial(fit_loop, problem, n_frozen, recipe),
    }
    samples, predictors = interleave(methods, settings.repeats)
    what = f"head-only fit on a frozen 1-D CNN, {rows:,} windows of 2,048 samples, {epochs} epochs"
    comparisons = [Comparison(SKORCH, "faster", must=10), Comparison(LOOP, "time")]
    return [Result("cnn", what, "s", samples, comparisons, scores=accuracies(problem, predictors))]


def solved_head(settings: Settings) -> list[Result]:
    """The whole of a fit with a solved head, warm, against logistic regression on features that are there already."""
    backbone = pretrained((256,) * 4, 53, 9)
    X, y = labelled_rows(4000, 53, 9, shift=0.3, state=1)
    few = np.concatenate([np.flatnonzero(y == label)[:5] for label in range(9)])
    rest = np.setdiff1d(np.arange(len(X)), few)
    problem = Problem(backbone, X[few], y[few], X[rest], y[rest])
    blocks = problem.blocks()
    features = in_inference(blocks, torch.from_numpy(problem.X)).numpy()
    calls = settings.pick(10, 2)

    def logistic() -> Predict:
        model = LogisticRegression(max_iter=1000).fit(features, problem.y)
        return lambda X: model.predict(in_inference(blocks, torch.from_numpy(X)).numpy())

    def probing() -> Predict:
        # the defaults: a linear head
        return fit_ours(problem, settings, head=None, strategy=LinearProbing())

    def mean_of_calls(call: Callable[[], Predict]) -> tuple[float, Predict]:
        whole, outcomes = seconds(lambda: [call() for _ in range(calls)])
        return whole / calls, outcomes[-1]

    name = "LogisticRegression on features"
    methods = {OURS: probing, name: logistic}
    interleave(methods, 1)  # warm
    samples, predictors = interleave(methods, settings.repeats, measure=mean_of_calls)
    what = f"probing, 5 labels a class, 9 classes, 53 columns, warm, mean of {calls} fits"
    comparisons = [Comparison(name, "time", must=3)]
    return [Result("probing", what, "s", samples, comparisons, scores=accuracies(problem, predictors))]
