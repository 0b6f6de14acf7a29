"""Sentinels in fit and in predict, against planted ones."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import StandardScaler

from sktransfer import BaselineScaler, DataQualityWarning, LinearProbing, TransferClassifier, make_pipeline
from sktransfer.validation.sentinels import CODES, sound_range, warn_of_codes, warn_of_sentinels
from tests.helpers import moons, small_backbone

rng = np.random.default_rng(0)
HEALTHY = rng.normal(size=(200, 5)) * [1, 10, 100, 1, 1] + [0, 50, 3000, 1e5, -20]
NEW = rng.normal(size=(60, 5)) * [1, 10, 100, 1, 1] + [0, 50, 3000, 1e5, -20]


def caught(call):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        call()
    return [str(warning.message) for warning in found if issubclass(warning.category, DataQualityWarning)]


def windows(X):
    return X.reshape(-1, 10, 5).transpose(0, 2, 1)


def codes_said(call):
    return [text for text in caught(call) if "usually marks missing data" in text]


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("column", range(5))
def test_a_code_in_new_rows_is_said_with_its_column_and_rows(code, column):
    if (column, code) == (3, 99999.0):
        pytest.skip("an ordinary value of this column")
    X = NEW.copy()
    X[[3, 17, 40], column] = code
    (said,) = codes_said(lambda: BaselineScaler().fit(HEALTHY).transform(X))
    assert "3 of 60 rows" in said
    assert f"['x{column} ({code:g})']" in said
    (said,) = codes_said(lambda: BaselineScaler().fit(HEALTHY).transform(X[3:4]))
    assert "1 of 1 rows" in said
    (said,) = codes_said(lambda: BaselineScaler().fit(windows(HEALTHY)).transform(windows(X)))
    assert "3 of 6 windows" in said
    assert f"channels ['{column} ({code:g})']" in said


def test_codes_are_said_once_for_all_columns_and_chunks(monkeypatch):
    pipe = make_pipeline(BaselineScaler()).fit(HEALTHY)
    monkeypatch.setattr(type(pipe), "chunk_rows", 16)
    X = NEW.copy()
    X[5, 0], X[30, 3], X[50, 0] = -9999, -999.25, -9999
    (said,) = codes_said(lambda: pipe.transform(X))
    assert "3 of 60 rows" in said
    assert "['x0 (-9999)', 'x3 (-999.25)']" in said


def test_predictions_of_a_pipeline_say_them_too():
    X, y = moons(300)
    model = TransferClassifier(small_backbone(max_epochs=1), strategy=LinearProbing())
    pipe = make_pipeline(BaselineScaler(), model).fit(X, y)
    new = X[:20].copy()
    new[:4, 1] = -9999.0
    for call in (pipe.predict, pipe.predict_proba):
        (said,) = codes_said(lambda call=call: call(new))
        assert "4 of 20 rows" in said
    assert codes_said(lambda: pipe.predict(X)) == []


def test_a_code_within_what_was_seen_is_a_measurement():
    counter = np.arange(9000.0, 9900.0, 10)[:, None]
    assert caught(lambda: BaselineScaler().fit(counter).transform(np.arange(9900.0, 10_500.0)[:, None])) == []
    register = np.array([[32767.0], [-32768.0], [5.0], [100.0], [3.0], [7.0], [-4.0], [12.0]] * 5)
    wide = BaselineScaler().fit(np.linspace(-4e4, 4e4, 50)[:, None])
    assert codes_said(lambda: wide.transform(register)) == []
    assert codes_said(lambda: wide.transform(np.vstack([register, [[-5e5]]]))) == []  # far, but no code is


def test_a_code_that_fit_saw_and_said_is_no_part_of_the_range():
    spoiled = HEALTHY.copy()
    spoiled[::7, 1] = -9999.0
    low, high = sound_range(spoiled)
    rest = np.delete(HEALTHY[:, 1], np.arange(0, 200, 7))
    assert (low[1], high[1]) == (rest.min(), rest.max())
    np.testing.assert_array_equal(np.delete(low, 1), np.delete(HEALTHY, 1, axis=1).min(axis=0))
    scaler = BaselineScaler()
    (said,) = caught(lambda: scaler.fit(spoiled))
    assert "x1 (-9999 in 14%)" in said
    assert len(codes_said(lambda: scaler.transform(spoiled))) == 1
    (said,) = caught(lambda: BaselineScaler().fit_transform(spoiled))  # once
    assert "hold one value far from all others" in said


def test_a_column_of_nothing_but_codes_has_no_range():
    X = np.column_stack([np.full(20, -9999.0), np.arange(20.0)])
    low, high = sound_range(X)
    assert np.isnan([low[0], high[0]]).all()
    assert caught(lambda: warn_of_codes("Scaler", X, low, high, ["a", "b"], ("column", "row"))) == []


def test_a_single_code_is_found_in_fit():
    X = HEALTHY.copy()
    X[4, 3] = -9999.0
    assert any("x3 (-9999 in less than 1%)" in text for text in caught(lambda: BaselineScaler(method="robust").fit(X)))


def test_many_columns_make_one_sentence_with_the_number_of_all():
    X = np.tile(HEALTHY, 4)
    X[::5] = -9999.0
    X[::5, :8] = HEALTHY[0, 0]
    (said,) = caught(lambda: BaselineScaler(method="robust").fit(X))
    assert "'x8 (-9999 in 20%)'" in said
    assert "in all)" in said


def test_an_idle_pump_is_no_sentinel():
    flow = np.where(np.arange(200) % 4 == 0, 0.0, 80 + rng.normal(size=200))[:, None]
    assert caught(lambda: BaselineScaler().fit(flow).transform(flow)) == []


@pytest.mark.parametrize(
    "cut", [np.asarray, lambda X: X.reshape(-1, 20, 5).transpose(0, 2, 1)], ids=["rows", "windows"]
)
@pytest.mark.parametrize("scaler", [BaselineScaler(), StandardScaler()], ids=["ours", "scikit-learn's"])
def test_an_idle_pump_is_no_sentinel_behind_a_scaler(scaler, cut):
    flow = np.where(np.arange(200) // 20 % 4 == 0, 0.0, 80 + rng.normal(size=200))
    X = np.column_stack([flow, HEALTHY[:, 1:]])
    X = cut(scaler.fit_transform(X))
    y = np.resize(["normal", "leak"], len(X))
    model = TransferClassifier(max_epochs=1, random_state=0)
    assert not [text for text in caught(lambda: model.fit(X, y)) if "far from all others" in text]
    assert not [text for text in caught(lambda: model.fit(X.astype(np.float32), y)) if "far from all others" in text]


def test_a_valve_at_its_stop_is_no_sentinel():
    opened = np.where(np.arange(200) < 150, 40 + rng.normal(size=200), 100.0)
    X = np.column_stack([opened, HEALTHY[:, 1:]])
    assert caught(lambda: BaselineScaler(normal_label=0).fit(X, np.arange(200) >= 150)) == []


@pytest.mark.parametrize("mark", [-1.0, -99.5, 1e7])
def test_an_unknown_mark_is_said_where_it_is_written_by_hand_or_very_far(mark):
    X = rng.uniform(size=(200, 3))
    X[:, 1] = np.where(np.arange(200) % 8 == 0, mark, 0.9 + 0.1 * X[:, 1])
    y = np.resize(["normal", "leak"], 200)
    for given in (X, X.astype(np.float32)):
        found = caught(lambda given=given: TransferClassifier(max_epochs=1, random_state=0).fit(given, y))
        assert any(f"x1 ({mark:g} in 12%)" in text for text in found)
    far = StandardScaler().fit_transform(np.where(X == mark, mark * 100, X))
    found = caught(lambda: TransferClassifier(max_epochs=1, random_state=0).fit(far, y))
    assert any("x1 (" in text and "in 12%)" in text for text in found)


@pytest.mark.parametrize("kind", ["rows", "windows"])
def test_the_number_behind_a_mask_is_never_used(kind):
    X = HEALTHY if kind == "rows" else windows(HEALTHY)
    filled = X.copy()
    filled[(4, 2, 3)[: X.ndim]] = -9999.0
    masked = np.ma.masked_equal(filled, -9999.0)
    given = masked
    holes = np.where(filled == -9999.0, np.nan, filled)
    with pytest.raises(ValueError, match="contains NaN in"):
        BaselineScaler().fit(given)
    fitted = BaselineScaler(missing="impute").fit(given)
    np.testing.assert_array_equal(fitted.center_, BaselineScaler(missing="impute").fit(holes).center_)
    np.testing.assert_array_equal(fitted.transform(given), fitted.transform(holes))
    for form in (given, list(given)):
        with pytest.raises(ValueError, match="contains NaN in"):
            TransferClassifier(max_epochs=1).fit(form, np.resize([0, 1], len(X)))
    counts = np.ma.masked_array(np.arange(60).reshape(20, 3), mask=np.eye(20, 3, dtype=bool))
    assert np.isnan(BaselineScaler(missing="impute").fit(counts).center_).sum() == 0
    np.testing.assert_array_equal(BaselineScaler().fit(np.ma.masked_array(X)).center_, BaselineScaler().fit(X).center_)


def test_labels_behind_a_mask_are_refused_by_estimators():
    y = np.ma.masked_array(np.resize([0, 1], 200), mask=np.arange(200) == 3)
    with pytest.raises(ValueError, match="y is masked in 1 row"):
        TransferClassifier(max_epochs=1).fit(HEALTHY, y)


def test_frames_name_their_columns():
    frame = pd.DataFrame(HEALTHY, columns=list("abcde"))
    new = pd.DataFrame(NEW, columns=list("abcde"))
    new.loc[2, "d"] = -999.25
    (said,) = codes_said(lambda: BaselineScaler().fit(frame).transform(new))
    assert "'d (-999.25)'" in said


def idle_pump(n_rows):
    """Flow of a pump that stands in a third of the rows, and runs evenly in the others."""
    flow = 99 + 0.1 * rng.normal(size=n_rows)
    flow[::3] = 0.0
    return np.column_stack([flow, rng.normal(size=n_rows)])


def test_an_idle_pump_among_few_labelled_rows_behind_a_scaler_is_no_sentinel():
    healthy = BaselineScaler().fit(idle_pump(500))
    y = np.resize(["ok", "ok", "leak"], 12)
    for n_rows in (10, 12):
        model = TransferClassifier(max_epochs=1, random_state=0)
        assert caught(lambda n=n_rows, model=model: model.fit(healthy.transform(idle_pump(n)), y[:n])) == []


def test_a_written_number_among_few_rows_is_said_and_so_is_a_scaled_one_among_many():
    few = HEALTHY[:12].copy()
    few[:4, 1] = -777.5
    (said,) = caught(lambda: warn_of_sentinels("Model", few, list("abcde"), "column"))
    assert "b (-777.5 in 33%)" in said
    many = HEALTHY.copy()
    many[:20, 1] = -7700.5
    many = (many - many.mean(axis=0)) / many.std(axis=0)
    (said,) = caught(lambda: warn_of_sentinels("Model", many, list("abcde"), "column"))
    assert "['b (-2.99998 in 10%)']" in said
    assert caught(lambda: warn_of_sentinels("Model", many[::20], list("abcde"), "column")) == []


def test_columns_behind_a_scaler_of_a_frame_are_called_by_their_names():
    frame = pd.DataFrame(HEALTHY, columns=list("abcde"))
    found = BaselineScaler().fit(frame).transform(frame)
    found[:20, 3] = -77.5
    (said,) = caught(lambda: TransferClassifier(max_epochs=1).fit(found, np.resize([0, 1], 200)))
    assert "'d (-77.5 in 10%)'" in said


@pytest.mark.parametrize("form", [lambda X: X, windows])
def test_a_code_is_not_said_again_as_a_value_that_is_far_and_other_far_values_are(form):
    scaler, new = BaselineScaler().fit(form(HEALTHY)), NEW.copy()
    new[7, 0] = -9999.0
    (said,) = caught(lambda: scaler.transform(form(new)))
    assert "usually marks missing data" in said
    new[8, 1] = 1e7
    said = caught(lambda: scaler.transform(form(new)))
    assert len(said) == 2
    assert "further from the healthy baseline" in said[1]
    assert ("['x1']" if form(new).ndim == 2 else "channels [1]") in said[1]


def test_a_code_just_above_the_range_is_a_measurement_whatever_else_the_column_holds():
    scaler = BaselineScaler().fit(np.arange(9000.0, 9900.0, 10)[:, None])
    assert codes_said(lambda: scaler.transform([[9999.0], [5e5]])) == []
    assert len(codes_said(lambda: scaler.transform([[-9999.0], [9500.0]]))) == 1


def test_three_settings_and_rare_values_are_no_codes():
    setting = np.resize([0.0, 1.0, 0.0, 1.0, 50.0], 200)
    rare = np.where(np.arange(200) % 67 == 0, 60.0, rng.normal(size=200))  # 3 of 200
    X = np.column_stack([setting, rare])
    assert caught(lambda: warn_of_sentinels("It", X, ["a", "b"], "column")) == []
    rare[:2] = 60.0
    (said,) = caught(lambda: warn_of_sentinels("It", np.column_stack([setting, rare]), ["a", "b"], "column"))
    assert "['b (60 in 2%)']" in said
