"""What the benchmark of windows chose: development shares no row with the few labels it scores, contrasts by hand."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.windows import bearings, contrasts, development, few_labels, passing
from benchmarks.windows import loaders as real
from sktransfer import FeatureExtractor, load_backbone

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


def modulated(order, depth=0.4, rpm=1800.0, seconds=1, n=3):
    """A carrier of 3 kHz whose envelope swings by `depth` at an order of the shaft."""
    t = np.arange(12_000 * seconds) / 12_000
    swing = 1 + depth * np.cos(2 * np.pi * order * rpm / 60 * t)
    return np.tile(swing * np.sin(2 * np.pi * 3000 * t), (n, 1)), np.full(n, rpm)


def test_the_peak_of_the_envelope_is_read_at_its_order():
    orders = np.tile([3.5, 5.2, 2.3, 0.4], (3, 1))
    X, rpm = modulated(order=2 * 5.2)
    found = contrasts.twenty_features(X, rpm, orders)[0]
    assert found.shape == (20,)
    place = bearings.FEATURES.index("env_2x_bpfi")
    assert found[place] == pytest.approx(0.4, rel=1e-3)
    elsewhere = [i for i in range(5, 20) if i != place and bearings.FEATURES[i] != "env_3x_bpfo"]  # 10.5 beside 10.4
    assert found[elsewhere].max() < 0.01
    # a sine of amplitude 1 + 0.4 cos: its square is (1 + 0.16 / 2) / 2 in the mean
    assert found[0] == pytest.approx(np.sqrt(0.54), rel=1e-3)
    assert found[1] == pytest.approx(2.8, rel=1e-2)


def test_contrasts_do_not_know_the_gain_and_name_the_part():
    X, rpm = modulated(order=3.5)
    X = X + 0.01 * np.random.default_rng(0).normal(size=X.shape)
    orders = np.tile([3.5, 5.2, 2.3, 0.4], (3, 1))
    a, b = (contrasts.contrasts(contrasts.twenty_features(gain * X, rpm, orders)) for gain in (1.0, 30.0))
    np.testing.assert_allclose(a, b, atol=1e-3)
    assert a.shape == (3, 21)
    assert (a[:, 15:18].argmax(axis=1) == 0).all()  # the outer race's largest peak is the largest
    np.testing.assert_allclose(a[:, 15:18].sum(axis=1), 0, atol=1e-5)
    np.testing.assert_allclose(np.median(a[:, :15], axis=1), 0, atol=1e-6)


def test_simulated_windows_of_another_bearing_are_of_none(monkeypatch):
    monkeypatch.setattr(contrasts, "N_SAMPLES", 60)
    X, y = contrasts.simulated(3)
    assert X.shape == (60, 20)
    assert np.isfinite(contrasts.contrasts(X)).all()
    assert set(y) == {"inner", "outer", "ball", "none"}
    again, _ = contrasts.simulated(3)
    np.testing.assert_array_equal(X, again)


def test_a_simulated_machine_shows_the_same_damage_at_two_speeds(monkeypatch):
    monkeypatch.setattr(development, "N_MACHINES", 2)
    monkeypatch.setattr(development, "N_WINDOWS", 2)
    tasks = development.simulated(standardized=True)
    assert list(tasks) == [f"simulated, standardised {m} {end}" for m in (0, 1) for end in ("slower", "faster")]
    for name, (source, target) in tasks.items():
        assert set(source.y) == set(target.y)
        assert len(set(source.y)) == 7
        assert len(source) == len(target) == 14
        ratio = target.X.rpm.max() / source.X.rpm.max()
        assert 0.5 <= (ratio if name.endswith("slower") else 1 / ratio) <= 0.75
        np.testing.assert_allclose(np.std(source.X, axis=2), 1, rtol=1e-3)


@pytest.mark.shared_data
@pytest.mark.skipif(not DATA.is_dir(), reason="the benchmark data are not part of the project")
def test_no_row_of_development_is_scored(monkeypatch):
    monkeypatch.setattr(development, "N_MACHINES", 1)
    assert not set(development.FAN_SPEEDS) & set(few_labels.FAN_SPEEDS)
    assert not set(development.MOTOR_CLASSES) & set(real.MOTOR_CLASSES)
    tasks = development.development_tasks(DATA)
    scored = few_labels.tasks(DATA, names=("fan", "motors"))
    for name in ("fan", "motor"):
        seen = {
            bytes(np.asarray(x)) for k, pair in tasks.items() if k.startswith(name) for part in pair for x in part.X
        }
        score = {bytes(np.asarray(x)) for k, (_, t) in scored.items() if k.startswith(name) for x in t.X}
        assert len(seen) > 50
        assert not seen & score
    assert not [name for name in tasks if name.startswith("hit")]


def test_the_variant_that_ships_has_the_features_that_ship():
    shipped = load_backbone("vibration")
    wide = passing._with_level()
    numbers = np.random.default_rng(0).normal(size=(5, 2, 1667)).astype(np.float32)
    found = passing._features(wide, numbers)
    n, n_passed = wide.n_features_out, shipped.network["arguments"]["n_passed"]
    level = [n - n_passed - 2, n - 1]
    plain = passing.behind_front_end(shipped)
    expected = FeatureExtractor(plain, standardize=False).fit_transform(numbers)
    np.testing.assert_array_equal(np.delete(found, level, axis=1), expected)
