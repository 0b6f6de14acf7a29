"""Rows of several machines: each is answered for its own."""

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV

from sktransfer import (
    BaselineScaler,
    FleetClassifier,
    TransferClassifier,
)
from sktransfer import make_pipeline as make_our_pipeline
from tests.cli.rows import COLUMNS, FRAME, ROWS, Y
from tests.helpers import small_backbone

MACHINE = np.where(np.arange(len(FRAME)) % 2, "A", "B")


PUMPS = ROWS.assign(pump=np.where(np.arange(len(ROWS)) % 3, "A", "B"))


def fleet(**options):
    return FleetClassifier(small_backbone(max_epochs=10), baseline=BaselineScaler(), **options)


@pytest.fixture
def with_pumps(tmp_path):
    (tmp_path / "pumps.toml").write_text('[table]\nmachine = "pump"', encoding="utf-8")
    return "--joblib", "--config", tmp_path / "pumps.toml"


def machines_of_numbers(names):
    return np.where(names == "A", 7, 8)


@pytest.mark.parametrize("kind", ["fleet", "numbers", "scaler", "search"])
def test_each_row_is_answered_for_its_machine(score, dumped, with_pumps, kind):
    network = TransferClassifier(small_backbone(max_epochs=10), random_state=0)
    pipeline = make_our_pipeline(BaselineScaler(normal_label="normal"), network)
    named = machines_of_numbers if kind == "numbers" else np.asarray
    model = {"fleet": fleet(), "numbers": fleet(), "scaler": pipeline,
             "search": GridSearchCV(pipeline, {"transferclassifier__head": [None]}, cv=2)}[kind]  # fmt: skip
    shift = np.where(MACHINE == "A", 0.0, 3.0)[:, None]
    model.fit(FRAME + shift, Y, sample_domain=named(MACHINE))
    rows = PUMPS.assign(pump=named(PUMPS["pump"].to_numpy()))
    rows[COLUMNS] += np.where(PUMPS["pump"] == "A", 0.0, 3.0)[:, None]
    code, scored, _ = score(rows[["pump", *COLUMNS[::-1]]], *with_pumps, **dumped(model))
    inner = getattr(model, "best_estimator_", model)
    expected = inner.predict(rows[COLUMNS], sample_domain=rows["pump"].to_numpy())
    assert code == 0
    assert scored["label"].tolist() == expected.tolist()
    assert scored["pump"].tolist() == rows["pump"].astype(str).tolist()


def test_a_fleet_reads_the_column_that_it_was_fitted_with(score, dumped):
    model = fleet(machine="pump").fit(FRAME.assign(pump=MACHINE), Y)
    code, scored, _ = score(PUMPS, "--joblib", **dumped(model))
    assert code == 0
    assert scored["label"].tolist() == model.predict(PUMPS).tolist()
    code, _, said = score(ROWS, "--joblib", **dumped(model))
    assert (code, "'pump': the header has no such column" in said) == (3, True)


def test_a_machine_without_a_baseline_is_no_data_and_one_that_is_not_named_an_error(score, dumped, with_pumps):
    network = TransferClassifier(small_backbone(max_epochs=10), random_state=0)
    scaler = BaselineScaler(normal_label="normal", target_domain="A")
    model = make_our_pipeline(scaler, network).fit(FRAME, Y, sample_domain=MACHINE)
    rows = PUMPS.assign(pump=["C", *PUMPS["pump"][1:]])
    code, scored, said = score(rows, *with_pumps, **dumped(model))
    assert code == 0
    assert scored.loc[scored["state"] == "NO_DATA", "quality"].to_dict() == {0: "a machine without a baseline"}
    assert "machines without a baseline, ['C']" in said
    code, _, said = score(ROWS, "--joblib", **dumped(fleet().fit(FRAME, Y, sample_domain=MACHINE)))
    assert (code, "rows.csv: The model tells machines apart, ['A', 'B']" in said) == (3, True)
    numbers = fleet().fit(FRAME, Y, sample_domain=machines_of_numbers(MACHINE))
    code, _, said = score(PUMPS, *with_pumps, **dumped(numbers))
    assert (code, "knows its machines by numbers, [7, 8]" in said) == (3, True)
    code, _, said = score(PUMPS.assign(pump="9" * 20), *with_pumps, **dumped(numbers))
    assert (code, "knows its machines by numbers, [7, 8]" in said) == (3, True)
