"""Rows of the table about a grid search: 12 candidates by 5 folds, mixed candidates, 20 and 100 candidates."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from sklearn.model_selection import GridSearchCV, ParameterGrid, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.speed.measure import OURS, Comparison, Result, interleave
from benchmarks.speed.peers import Recipe, search_loop, skorch_net
from benchmarks.speed.problem import STANDARD, Problem, Settings, Size, make_problem, ours, training_flops
from sktransfer import BatchedGridSearchCV, FineTuning, LinearProbing, WeightDecay

N_FOLDS = 5
ONE_BY_ONE, OURS_PLAIN = "one by one on cached features", "ours, plain GridSearchCV"
SKORCH_1, SKORCH_2 = "GridSearchCV of skorch, 1 job", "GridSearchCV of skorch, 2 jobs"
RATES, DECAYS, DROPOUTS = [3e-4, 1e-3, 3e-3], [0.0, 0.01], [0.0, 0.2]


def hand_grid(rates: list, decays: list, dropouts: list) -> list[dict]:
    """Candidates of the hand-written search that differ in what a frozen backbone allows."""
    return list(ParameterGrid({"lr": rates, "weight_decay": decays, "dropout": dropouts}))


def our_grid(rates: list, decays: list, dropouts: list) -> dict:
    """The same candidates by the names of our parameters."""
    return {
        "transferclassifier__lr": rates,
        "transferclassifier__strategy__second__weight_decay": decays,
        "transferclassifier__head__dropout": dropouts,
    }


def skorch_grid(rates: list, decays: list, dropouts: list) -> dict:
    """The same candidates by the names of skorch's parameters."""
    return {
        "neuralnetclassifier__lr": rates,
        "neuralnetclassifier__optimizer__weight_decay": decays,
        "neuralnetclassifier__module__dropout": dropouts,
    }


def our_pipeline(problem: Problem, settings: Settings, first: Any, epochs: int) -> Any:
    """Scaler and our estimator as a search clones them."""
    strategy = first & WeightDecay(0.01)
    model = ours(problem.backbone, settings, strategy=strategy, max_epochs=epochs, batch_size=128)
    return make_pipeline(StandardScaler(), model)


def our_search(problem: Problem, pipeline: Any, grid: dict, *, batched: bool) -> dict:
    """One search by our pipeline; its best candidate and score."""
    search_class = BatchedGridSearchCV if batched else GridSearchCV
    search = search_class(pipeline, grid, cv=N_FOLDS).fit(problem.X, problem.y)
    return {**search.best_params_, "score": search.best_score_}


def skorch_search(problem: Problem, recipe: Recipe, grid: dict, n_jobs: int) -> dict:
    """One search of the idiom."""
    net = skorch_net(problem, len(problem.backbone.blocks), recipe)
    search = GridSearchCV(make_pipeline(StandardScaler(), net), grid, cv=N_FOLDS, n_jobs=n_jobs)
    search.fit(problem.X, problem.y)
    return {**search.best_params_, "score": search.best_score_}


def folds_of(problem: Problem) -> list[tuple[np.ndarray, np.ndarray]]:
    """The folds that GridSearchCV takes for a classifier."""
    return list(StratifiedKFold(N_FOLDS).split(problem.X, problem.y))


def our_searches(problem: Problem, pipeline: Any, grid: dict) -> dict[str, Callable[[], dict]]:
    """Our estimator in our search and in scikit-learn's."""
    return {
        OURS: partial(our_search, problem, pipeline, grid, batched=True),
        OURS_PLAIN: partial(our_search, problem, pipeline, grid, batched=False),
    }


def same_depth(candidates: list[dict], n_frozen: int) -> list[dict]:
    return [{**candidate, "n_frozen": n_frozen} for candidate in candidates]


def search(settings: Settings, size: Size = STANDARD) -> list[Result]:
    """12 candidates by 5 folds on a frozen backbone."""
    rows, epochs = size.n_rows or settings.pick(5000, 200), settings.pick(4, 1)
    values = settings.pick((RATES, DECAYS, DROPOUTS), (RATES[:2], DECAYS[:1], DROPOUTS[:1]))
    problem, n_frozen = make_problem(size.widths, rows), len(size.widths)
    recipe = Recipe(epochs=epochs, batch_size=128, device=settings.device)
    pipeline = our_pipeline(problem, settings, LinearProbing(), epochs)
    methods = our_searches(problem, pipeline, our_grid(*values))
    candidates = same_depth(hand_grid(*values), n_frozen)
    methods[ONE_BY_ONE] = partial(search_loop, problem, candidates, folds_of(problem), recipe)
    methods[SKORCH_1] = partial(skorch_search, problem, recipe, skorch_grid(*values), 1)
    if settings.device == "cpu":
        methods[SKORCH_2] = partial(skorch_search, problem, recipe, skorch_grid(*values), 2)
        warm_workers(recipe, size)
    samples, best = interleave(methods, settings.repeats, rounds={SKORCH_2: min(5, settings.repeats)})
    fits = N_FOLDS * len(candidates)
    what = (
        f"grid search, {len(candidates)} candidates x {N_FOLDS} folds, {size}, {rows:,} rows, {epochs} epochs, frozen"
    )
    comparisons = [
        Comparison(SKORCH_1, "faster", must=12, aim=25),
        Comparison(SKORCH_2, "faster", must=6),
        Comparison(ONE_BY_ONE, "faster"),
        Comparison(OURS_PLAIN, "faster"),
        Comparison(ONE_BY_ONE, "time", ours=OURS_PLAIN),
    ]
    heads = training_flops(32, size.widths, n_frozen, rows * 4 // 5, epochs, problem.n_classes)
    features = training_flops(32, size.widths, n_frozen, rows * 4 // 5, 0, problem.n_classes)
    flops = {OURS: fits * (heads - features) + N_FOLDS * features * 5 / 4}
    notes = ["Every search fits its best candidate once more on all rows."]
    scores = {name: outcome["score"] for name, outcome in best.items()}
    return [Result("search" + size.suffix, what, "s", samples, comparisons, notes, scores, flops)]


def warm_workers(recipe: Recipe, size: Size) -> None:
    """Start the two worker processes and let them import everything."""
    tiny = make_problem(size.widths, 60)
    skorch_search(tiny, Recipe(epochs=1, batch_size=32, device=recipe.device), skorch_grid(RATES, [0.0], [0.0]), 2)


def mixed(settings: Settings) -> list[Result]:
    """Half of the candidates with one block unfrozen, two widths of the head."""
    rows, epochs = settings.pick(5000, 200), settings.pick(4, 1)
    problem = make_problem(STANDARD.widths, rows)
    rates, widths = settings.pick((RATES, [64, 32]), (RATES[:1], [64, 32]))
    pipeline = our_pipeline(problem, settings, FineTuning("all"), epochs)
    grid = {
        "transferclassifier__lr": rates,
        "transferclassifier__head__hidden_layer_sizes": [(width,) for width in widths],
        "transferclassifier__strategy__first": [FineTuning("all"), FineTuning(3)],
    }
    methods = our_searches(problem, pipeline, grid)
    candidates = list(ParameterGrid({"lr": rates, "width": widths, "n_frozen": [4, 3], "weight_decay": [0.01]}))
    recipe = Recipe(epochs=epochs, batch_size=128, device=settings.device)
    methods[ONE_BY_ONE] = partial(search_loop, problem, candidates, folds_of(problem), recipe)
    samples, best = interleave(methods, settings.repeats)
    what = f"mixed grid search, {len(candidates)} candidates x {N_FOLDS} folds, {rows:,} rows, {epochs} epochs"
    comparisons = [
        Comparison(ONE_BY_ONE, "faster", must=1.5),
        Comparison(OURS_PLAIN, "faster"),
        Comparison(ONE_BY_ONE, "time", ours=OURS_PLAIN),
    ]
    scores = {name: outcome["score"] for name, outcome in best.items()}
    return [Result("mixed", what, "s", samples, comparisons, scores=scores)]


def many_candidates(settings: Settings) -> list[Result]:
    """20 and 100 candidates on a frozen backbone; the aim is 100 in the time of 20."""
    rows, epochs = settings.pick(5000, 200), settings.pick(4, 1)
    problem = make_problem(STANDARD.widths, rows)
    recipe = Recipe(epochs=epochs, batch_size=128, device=settings.device)
    pipeline = our_pipeline(problem, settings, LinearProbing(), epochs)
    rates = np.geomspace(3e-4, 3e-3, settings.pick(5, 1)).tolist()
    few = (rates, [0.0, 0.01], [0.0, 0.2])
    many = (rates, [0.0, 0.001, 0.01, 0.03, 0.1], [0.0, 0.1, 0.2, 0.5])
    methods: dict[str, Callable[[], dict]] = {}
    names = []
    for values in (few, many):
        candidates = same_depth(hand_grid(*values), len(STANDARD.widths))
        names.append(f"ours, {len(candidates)} candidates")
        methods[names[-1]] = our_searches(problem, pipeline, our_grid(*values))[OURS]
        if values is few:
            hand = f"one by one, {len(candidates)} candidates"
            methods[hand] = partial(search_loop, problem, candidates, folds_of(problem), recipe)
    samples, best = interleave(methods, settings.repeats)
    comparisons = [
        Comparison(names[0], "time", aim=1, ours=names[1]),
        Comparison(hand, "time", ours=names[1]),
        Comparison(hand, "faster", ours=names[0]),
    ]
    scores = {name: outcome["score"] for name, outcome in best.items()}
    what = f"grid search, {N_FOLDS} folds, {rows:,} rows, {epochs} epochs, frozen"
    return [Result("candidates", what, "s", samples, comparisons, scores=scores)]
