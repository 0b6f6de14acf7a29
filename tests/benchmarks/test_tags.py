"""The benchmark of features by tag: what is labelled is not scored, and the table says what was measured."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks import tags
from benchmarks.tag_tasks import DEVELOPMENT, SCORED, TagTask, cut, thinned
from sktransfer import LinearProbing

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


def rows_of(X, n_together):
    """Pieces of `n_together` rows of all windows, as a set."""
    return {X[:, :, i : i + n_together][k].tobytes() for i in range(0, X.shape[2], n_together) for k in range(len(X))}


@pytest.mark.filterwarnings("ignore::sktransfer.exceptions.DataQualityWarning")
@pytest.mark.shared_data
@pytest.mark.parametrize("name", [*SCORED, *DEVELOPMENT])
def test_no_row_is_both_labelled_and_scored(name):
    load = (SCORED | DEVELOPMENT)[name]
    folders = {"cmapss": "cmapss-fd001-fd003", "gas-turbine": "gas-turbine-emissions", "fan": "fan-accelerometer"}
    folder = DATA / {**folders, "motor": "motors-smartphone-vibration"}.get(name, name)
    if not folder.is_dir():
        pytest.skip(f"no folder {folder}")
    task = next(iter(load(DATA)))
    n_together = 8 if name in ("fan", "motor") else 1  # three readings of few digits occur twice
    assert not rows_of(task.pool[0], n_together) & rows_of(task.scored[0], n_together)
    assert set(task.scored[1]) <= set(task.pool[1])
    if task.source is not None:
        assert task.source[0].shape[1:] == task.pool[0].shape[1:]


def test_a_window_ends_at_its_row():
    values = np.arange(20.0)[:, None] * [1.0, 10.0]
    X = cut(values, 4, 3)
    assert X.shape == (6, 2, 4)
    np.testing.assert_array_equal(X[:, 1, -1], 10 * np.arange(3, 20, 3))
    assert cut(values[:3], 4, 3).shape == (0, 2, 4)


def test_labels_are_drawn_by_class_and_seed():
    X, y = np.arange(30.0)[:, None, None] * np.ones((1, 2, 16)), np.repeat([0, 1, 2], [3, 7, 20])
    task = TagTask("a", "b", (X, y), (X, y))
    drawn = task.draw(5, 0)
    assert np.bincount(drawn[1]).tolist() == [3, 5, 5]
    np.testing.assert_array_equal(np.sort(drawn[0][:, 0, 0]), drawn[0][:, 0, 0])
    np.testing.assert_array_equal(task.draw(5, 0)[0], drawn[0])
    assert not np.array_equal(task.draw(5, 1)[0], drawn[0])
    assert np.bincount(thinned((X, y), 4)[1]).tolist() == [3, 7, 4]


def test_statistics_are_those_of_loops():
    X = np.random.default_rng(0).normal(size=(2, 3, 20))
    found = tags.statistics(X).reshape(2, 6, 3)
    for i in range(2):
        for j in range(3):
            x = X[i, j]
            steps = sum(abs(b - a) for a, b in pairwise(x)) / 19
            expected = [x.mean(), x.std(), min(x), max(x), steps, x[-1] - x[0]]
            np.testing.assert_allclose(found[i, :, j], expected)


def synthetic(folder):
    """A step at one of two tags, which is the class."""

    def part(seed, n=40):
        X, y = np.random.default_rng(seed).normal(size=(n, 3, 32)).astype(np.float32), np.arange(n) % 2
        X[np.arange(n), y] += 2.0
        return X, y

    yield TagTask("made", "one", part(0), part(1), part(2))


@pytest.mark.slow
def test_every_method_runs_and_by_tag_sees_where_the_fault_is():
    scores = tags.run(Path(), {"made": synthetic}, LinearProbing(), draws=2, n_tasks=1, alone=False)
    assert len(scores) == (3 + 4 + 3 + 1 + 4) * 3 * 2
    means = scores[scores["labels"] == 5].groupby("method")["score"].mean()
    assert means["by default, which is block='tag'"] > 0.9
    assert means["block='pooled'"] < 0.7
    alone = tags.run(Path(), {"made": synthetic}, LinearProbing(), draws=1, n_tasks=1, alone=True)
    assert not [name for name in alone["method"] if "source" in name]


def test_the_table_averages_tasks_first_and_sets_last():
    columns = ["set", "task", "method", "labels", "draw", "score"]
    scores = [("a", t, "m", n, d, 0.1 * d + 0.2 * t) for t in (0, 1) for n in (1, 5, 20) for d in (0, 1)]
    scores += [("b", 0, "m", n, d, 0.5) for n in (1, 5, 20) for d in (0, 1)]
    lines = tags.table(pd.DataFrame(scores, columns=columns)).splitlines()
    assert "| a | m | 0.150 ± 0.050 | 0.150 ± 0.050 | 0.150 ± 0.050 |" in lines
    assert "| mean of sets | m | 0.325 ± 0.025 | 0.325 ± 0.025 | 0.325 ± 0.025 |" in lines
