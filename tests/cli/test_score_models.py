"""Every kind of model that a file may hold has its answers: labels, values, scores, tasks, "unknown"."""

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import FixedThresholdClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from sktransfer import (
    MultiTaskTransfer,
    OpenSetClassifier,
    TransferClassifier,
)
from tests.cli.rows import COLUMNS, FRAME, ROWS, X, Y
from tests.helpers import small_backbone


def test_a_joblib_file_is_run_only_when_it_is_said_so(score, models):
    code, _, said = score(ROWS, model="classifier.joblib")
    assert code == 4
    assert "a program" in said
    code, scored, _ = score(ROWS, "--joblib", model="classifier.joblib")
    assert code == 0
    assert scored["label"].tolist() == models[1]["classifier"].predict(ROWS).tolist()


def test_a_regressor_and_a_detector_have_their_own_answers(score, models):
    _, scored, _ = score(ROWS, model="regressor.skops")
    np.testing.assert_allclose(scored["value"], models[1]["regressor"].predict(ROWS), rtol=1e-6)
    _, scored, _ = score(ROWS + 100, model="detector.skops")
    np.testing.assert_allclose(scored["score"], models[1]["detector"].score_samples(ROWS + 100), rtol=1e-9)
    assert set(scored["label"]) == {"unusual"}


def test_a_model_that_takes_missing_cells_is_asked_about_them(score, tmp_path):
    imputing = make_pipeline(SimpleImputer(), LinearSVC()).fit(FRAME, Y)
    joblib.dump(imputing, tmp_path / "imputing.joblib")
    rows = ROWS.copy()
    rows.iloc[3, 1] = np.nan
    rows.iloc[4] = np.nan
    code, scored, _ = score(rows, "--joblib", model=tmp_path / "imputing.joblib")
    assert code == 0
    assert scored["state"].tolist() == ["SCORED"] * 4 + ["NO_DATA"] + ["SCORED"] * (len(ROWS) - 5)
    assert scored.loc[3, "label"] == imputing.predict(rows.iloc[[3]])[0]
    assert scored.loc[3, "quality"] == "missing: pressure"


def test_an_open_set_says_unknown_and_reads_its_columns_by_name(score, dumped):
    model = OpenSetClassifier(TransferClassifier(small_backbone(max_epochs=10), random_state=0)).fit(FRAME, Y)
    far = pd.concat([ROWS, ROWS + 20], ignore_index=True)
    code, scored, _ = score(far[COLUMNS[::-1]], "--joblib", **dumped(model))
    expected = model.predict(far)
    assert code == 0
    assert "unknown" in expected
    assert scored["label"].tolist() == expected.tolist()
    np.testing.assert_array_equal(scored["confidence"].isna(), expected == "unknown")


def test_a_threshold_that_was_set_decides_the_label(score, dumped, models):
    two = np.where(Y == "normal", "normal", "fault")
    network = TransferClassifier(small_backbone(max_epochs=10), random_state=0)
    model = FixedThresholdClassifier(network, threshold=0.9, pos_label="fault").fit(FRAME, two)
    expected, proba = model.predict(ROWS), model.predict_proba(ROWS)
    assert (expected != model.classes_[proba.argmax(axis=1)]).any()
    _, scored, _ = score(ROWS, "--joblib", **dumped(model))
    assert scored["label"].tolist() == expected.tolist()
    np.testing.assert_allclose(scored["confidence"], np.where(expected == "fault", proba[:, 0], proba[:, 1]))


def test_tasks_have_columns_of_their_own(score, dumped):
    y = pd.DataFrame({"fault": Y, "flow": FRAME["flow"] * 2})
    model = MultiTaskTransfer(max_epochs=2, random_state=0).fit(FRAME, y)
    code, scored, _ = score(ROWS, "--joblib", **dumped(model))
    assert code == 0
    assert list(scored.columns) == ["line", "state", "label_fault", "confidence_fault", "value_flow", "quality"]
    expected = model.predict(ROWS)
    assert scored["label_fault"].tolist() == expected["fault"].tolist()
    np.testing.assert_allclose(scored["value_flow"], expected["flow"], rtol=1e-6)
    both = KNeighborsClassifier().fit(FRAME, np.c_[Y, Y[::-1]])
    _, scored, _ = score(ROWS, "--joblib", **dumped(both))
    np.testing.assert_array_equal(scored[["label_0", "label_1"]], both.predict(ROWS))


def test_the_components_of_a_mixture_are_no_verdict(score, dumped):
    model = GaussianMixture(2, random_state=0).fit(FRAME)
    _, scored, _ = score(ROWS, "--joblib", **dumped(model))
    assert "label" not in scored
    assert scored["value"].tolist() == model.predict(ROWS).tolist()


def test_columns_without_names_are_said_to_be_taken_in_their_order(score, dumped, tmp_path):
    model = make_pipeline(StandardScaler(), LinearSVC()).fit(X, Y)
    code, scored, said = score(ROWS, "--joblib", **dumped(model))
    assert (code, "in their order: ['flow', 'pressure', 'level', 'speed']" in said) == (0, True)
    (tmp_path / "order.toml").write_text(f"[table]\nsensors = {COLUMNS}", encoding="utf-8")
    given = ROWS[COLUMNS[::-1]], "--joblib", "--config", tmp_path / "order.toml"
    code, again, said = score(*given, **dumped(model))
    assert (code, "order" in said) == (0, False)
    assert again["label"].tolist() == scored["label"].tolist() == model.predict(ROWS.to_numpy()).tolist()


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (make_pipeline(StandardScaler(), LinearSVC()), "not fitted"),
        (TransferClassifier(max_epochs=1, random_state=0).fit(np.zeros((20, 4, 32)) + np.arange(20)[:, None, None] % 2,
                                                              np.arange(20) % 2), "takes windows"),
    ],
)  # fmt: skip
def test_a_model_that_cannot_answer_rows_is_exit_4(score, dumped, model, message):
    code, _, said = score(ROWS, "--joblib", **dumped(model))
    assert (code, message in said, "model.joblib" in said) == (4, True, True)


def test_what_a_model_refuses_names_the_table(score, dumped):
    model = make_pipeline(StandardScaler(), LinearSVC()).fit(X[:, :3], Y)
    code, _, said = score(ROWS, "--joblib", **dumped(model))
    assert (code, "rows.csv: The table has 4 columns" in said) == (3, True)


def test_a_table_that_begins_without_data_has_the_columns_of_all_values(score, dumped, monkeypatch):
    from sktransfer.io import score_rows

    model = Ridge().fit(FRAME, FRAME[["flow", "level"]])
    rows = ROWS.copy()
    rows.iloc[:5] = np.nan
    monkeypatch.setattr(score_rows.score_rows, "__kwdefaults__", {"chunk_rows": 5, "now": None})
    _, scored, _ = score(rows, "--joblib", **dumped(model))
    np.testing.assert_allclose(scored[["value_0", "value_1"]].iloc[5:], model.predict(rows[5:]))
    _, scored, _ = score(ROWS.iloc[:0], "--joblib", **dumped(model))
    assert list(scored.columns) == ["line", "state", "value_0", "value_1", "quality"]
