"""Corpora of simulated machines: reproducible in pieces, finite, and with references of the same machine."""

import numpy as np

from tests.vibration import FAULTY, RATE, RPM


def test_same_seed_same_bytes_whatever_the_range(vibration):
    settings = {"length": 512, "n_channels": 2, "n_references": 1, "low_rate": 0.3}
    whole, again = vibration.samples(12, 5, **settings), vibration.samples(12, 5, **settings)
    pieces = [vibration.samples(7, 5, **settings), vibration.samples(5, 5, start=7, **settings)]
    joined = vibration.Samples.concatenate(pieces)
    for name in vibration.Samples.__dataclass_fields__:
        assert getattr(whole, name).tobytes() == getattr(again, name).tobytes() == getattr(joined, name).tobytes()
    assert (vibration.samples(12, 6, **settings).windows != whole.windows).any()


def test_everything_is_finite_and_of_the_stated_shape(vibration):
    made = vibration.samples(96, 1, 1024, n_channels=2, n_references=3, low_rate=0.5)
    assert made.windows.shape == (96, 2, 1024)
    assert made.reference.shape == (96, 3, 2, 1024)
    assert made.windows.dtype == made.reference.dtype == np.float32
    for name in ("windows", "reference", "severity", "rpm", "reference_rpm", "orders", "sampling_rate"):
        assert np.isfinite(getattr(made, name)).all()
    assert set(made.fault) == {"healthy", *FAULTY}
    slow = made.sampling_rate < 5_000.0
    assert slow.any()
    assert all(vibration.FAULTS[name].low_rate for name in made.fault[slow])
    assert made.sampling_rate[slow].max() <= 1_000.0
    assert ((made.severity == 0) == (made.fault == "healthy")).all()
    assert ((made.channel == -1) == (made.fault == "healthy")).all()
    assert made.windows.std(axis=2).min() > 0


def test_orders_lie_in_what_bearings_can_have(vibration):
    made = vibration.samples(200, 2, 16, n_references=0)
    n = made.orders[:, 0] + made.orders[:, 1]
    np.testing.assert_allclose(n, np.round(n), atol=1e-9)
    assert 6 <= n.min() < n.max() <= 18
    np.testing.assert_allclose(made.orders[:, 3] * n, made.orders[:, 0])
    projected = 1 - 2 * made.orders[:, 3]
    assert 0.15 * np.cos(np.radians(40)) - 1e-9 <= projected.min() <= projected.max() <= 0.32


def test_the_sampling_rate_can_be_fixed(vibration):
    made = vibration.samples(20, 3, 256, faults=["inner", "healthy"], sampling_rate=12_000, n_references=0)
    assert (made.sampling_rate == 12_000).all()
    assert set(made.fault) == {"inner", "healthy"}
    weighted = vibration.samples(60, 3, 16, faults={"inner": 1, "healthy": 9}, n_references=0)
    assert 0.75 < np.mean(weighted.fault == "healthy") < 1.0


def test_references_are_healthy_windows_of_the_same_machine(vibration, monkeypatch):
    calls = []
    record_of = vibration.Machine.record

    def spy(self, rng, fault="healthy", severity=1.0, **settings):
        calls.append((id(self), self.bearing, fault, settings["load"], settings["rpm"], self.rpm))
        return record_of(self, rng, fault, severity, **settings)

    monkeypatch.setattr(vibration.Machine, "record", spy)
    made = vibration.samples(8, 4, 256, faults=["outer"], n_references=4)
    for row in range(8):
        group = calls[5 * row : 5 * row + 5]
        assert len({(machine, bearing) for machine, bearing, *_ in group}) == 1
        assert [fault for _, _, fault, *_ in group] == ["outer"] + ["healthy"] * 4
        assert len({load for *_, load, _, _ in group}) == 5
        np.testing.assert_allclose(group[0][1].orders(), made.orders[row])
        measured = np.append(made.rpm[row], made.reference_rpm[row])
        np.testing.assert_allclose(measured, [rpm for *_, rpm, _ in group], rtol=0.0101)
        np.testing.assert_allclose(measured, group[0][-1], rtol=0.07)


def test_references_show_no_fault(vibration):
    still = {"fault_level": 30.0, "sampling_rate": RATE, "rpm": RPM, "full_scale": 1e4, "motor": None}
    made = vibration.samples(6, 9, 40_000, faults=["outer"], n_references=1, **still)
    power = np.var(made.windows[:, 0], axis=1) / np.var(made.reference[:, 0, 0], axis=1)
    assert (10 * np.log10(power) > 5).all()
