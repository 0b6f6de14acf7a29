"""Simulated process plants: labels of effects, stability of the plants, and the corpus of samples."""

import numpy as np
import pytest

from datasets.process import EFFECTS, FAULTS, PROCESS_FAULTS, samples
from datasets.process.effects import effects
from datasets.process.engine import Network, slow_down
from datasets.process.named import NAMED
from datasets.process.plant import random_plant

# --- labels of effects

T = np.arange(200)


@pytest.mark.parametrize(
    ("label", "path"),
    [
        ("none", 0.2 * np.ones(200)),
        ("step up", 3.0 * (T >= 80)),
        ("step down", -3.0 * (T >= 80)),
        ("ramp up", np.maximum(T - 80, 0) / 30),
        ("ramp down", -np.maximum(T - 80, 0) / 30),
        ("transient", 4 * np.exp(-np.maximum(T - 80, 0) / 10.0) * (T >= 80)),
        ("oscillation", 3 * np.sin(T / 4) * (T >= 80)),
        ("variance rise", 3 * np.random.default_rng(5).standard_normal(200) * (T >= 80)),
    ],
)
def test_label_of_a_known_effect(label, path):
    healthy = np.random.default_rng(1).standard_normal((1, 200))
    found, size = effects(healthy * 2.0 + path * 2.0, healthy * 2.0, np.array([2.0]), 80)
    assert EFFECTS[found[0]] == label
    assert size[0] == pytest.approx(np.sqrt(np.mean(path[80:] ** 2)), rel=1e-5)


def test_label_of_a_reading_that_calms_down_or_stops():
    healthy = np.random.default_rng(1).standard_normal((2, 200))
    faulty = healthy * np.where(T < 80, 1.0, np.array([[0.3], [0.0]]))
    assert [EFFECTS[k] for k in effects(faulty, healthy, np.ones(2), 80)[0]] == ["variance fall", "stuck"]


# --- corpus


@pytest.fixture(scope="module")
def corpus():
    return samples(256, seed=11, length=120, n_tags=(5, 30), keep_healthy=True)


def test_shapes_and_finite(corpus):
    for k in range(len(corpus)):
        window, reference = corpus.windows[k], corpus.references[k]
        assert window.dtype == reference.dtype == np.float32
        n_tags = len(window)
        assert 5 <= n_tags <= 30
        assert (window.shape, len(reference)) == ((n_tags, 120), n_tags)
        assert 200 <= reference.shape[1] <= 1000
        assert np.isfinite(window).all()
        assert np.isfinite(reference).all()
        assert len(corpus.effects[k]) == len(corpus.effect_sizes[k]) == len(corpus.tag_kinds[k]) == n_tags
        assert corpus.fault[k] in FAULTS
        assert (corpus.channel[k] == -1) == (corpus.severity[k] == 0) == (corpus.family[k] == "healthy")
        assert corpus.channel[k] < n_tags
    assert corpus.index == list(range(256))


def test_the_fault_is_all_that_differs_from_the_healthy_twin(corpus):
    for k in range(len(corpus)):
        begins = np.clip(corpus.onset[k], 0, 120)
        np.testing.assert_array_equal(corpus.windows[k][:, :begins], corpus.healthy[k][:, :begins])
        if corpus.family[k] == "healthy":
            assert begins == 120
            assert not corpus.effects[k].any()


def test_every_kind_of_fault_is_drawn_and_most_can_be_seen(corpus):
    kinds = np.array(corpus.fault)
    assert set(PROCESS_FAULTS) <= set(kinds)
    seen = np.array([sizes.max() > 0.3 for sizes in corpus.effect_sizes])
    long_enough = np.array(corpus.onset) < 90
    assert seen[long_enough & (kinds != "healthy")].mean() > 0.8


def test_same_seed_same_bytes_and_pieces_do_not_matter(corpus):
    options = {"seed": 11, "length": 120, "n_tags": (5, 30), "keep_healthy": True}
    for start, n in ((0, 3), (60, 9), (200, 1)):
        piece = samples(n, start=start, **options)
        for k in range(n):
            for name in ("windows", "references", "healthy", "effects", "effect_sizes"):
                assert getattr(piece, name)[k].tobytes() == getattr(corpus, name)[start + k].tobytes(), name
            assert piece.fault[k] == corpus.fault[start + k]
            assert piece.onset[k] == corpus.onset[start + k]
    other = samples(1, **(options | {"seed": 12}))
    assert other.windows[0].tobytes() != corpus.windows[0].tobytes()


def test_healthy_windows_lie_about_the_reference():
    healthy = samples(128, seed=2, shares=(1.0, 0.0, 0.0))
    z = [healthy.scaled(k) for k in range(128)]
    means, spreads = (np.concatenate([getattr(rows, name)(axis=1) for rows in z]) for name in ("mean", "std"))
    assert abs(np.median(means)) < 0.05
    assert np.median(np.abs(means)) < 0.5
    assert 0.85 < np.median(spreads) < 1.1


def test_tags_have_units_that_differ_wildly(corpus):
    spreads = np.concatenate([rows.std(axis=1) for rows in corpus.references])
    assert np.quantile(spreads, 0.95) / np.quantile(spreads, 0.05) > 1e4


@pytest.mark.parametrize("n_tags", range(3, 60, 7))
def test_a_plant_has_the_tags_that_were_asked_for(n_tags):
    for seed in range(5):
        p = random_plant(np.random.default_rng(seed), n_tags)
        assert len(p.tag_of) == len(set(p.tag_of)) == n_tags
        assert p.margin.min() >= 1.2
        assert set(range(p.n_nodes)) == {edge[0] for edge in p.edges}


@pytest.mark.parametrize("build", NAMED)
def test_named_plants_give_the_tags_they_promise_and_settle(build):
    plants = [build(np.random.default_rng(seed)) for seed in range(20)]
    assert {len(p.tag_of) for p in plants} <= {NAMED[build] - 1, NAMED[build]}
    assert dies_out(plants)


def dies_out(plants):
    """Whether every plant has forgotten a small pulse after a long time."""
    slow_down(plants)
    network = Network(plants)
    pulse = np.where(np.arange(3000) < 3, 1e-3, 0.0)[:, None]
    quiet = np.zeros((3000, network.n))
    y = np.abs(network.run(np.tile(pulse, network.s), np.tile(pulse, network.c), quiet, quiet)[0])
    last, most = (np.maximum.reduceat(part.max(axis=0), network.node_at[:-1]) for part in (y[-100:], y))
    return np.all(last < 0.1 * most)


def test_random_plants_are_stable():
    assert dies_out([random_plant(np.random.default_rng(seed), 5 + seed % 46) for seed in range(70)])


def test_too_few_tags_is_an_error():
    with pytest.raises(ValueError, match="n_tags >= 3"):
        random_plant(np.random.default_rng(0), 2)
