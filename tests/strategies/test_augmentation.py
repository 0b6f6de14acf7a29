"""Batches are changed as the parameters say, by numbers of the fit's own."""

import numpy as np
import pytest
import torch
from sklearn.base import clone

from sktransfer import Augmentation, FineTuning, LinearProbing, ProbeThenTune, Strategy, TransferClassifier, WeightDecay
from sktransfer.strategies.augmentation_ops import Change, crop, shift
from sktransfer.strategies.base import Batch
from sktransfer.utils.random import Draws
from tests.helpers import moons, small_backbone

NO_CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
DEVICES = ["cpu", pytest.param("cuda", marks=[pytest.mark.gpu, NO_CUDA])]
EVERYTHING = {"jitter": 0.1, "scaling": 0.2, "time_shift": 0.3, "crop": 0.4, "channel_dropout": 0.2, "mixup": 0.5}
ON_ROWS = {"jitter": 0.1, "scaling": 0.2, "channel_dropout": 0.2, "mixup": 0.5}


def windows(*shape, device="cpu"):
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    return torch.from_numpy(x).to(device)


def batch_of(x, n_classes=3):
    y = torch.arange(len(x), device=x.device) % n_classes
    return Batch(x, y, torch.linspace(0.5, 1.5, len(x), device=x.device), n_classes)


def changed(x, seed=0, **amounts):
    """The batch of `x` after an augmentation."""
    augment = Augmentation(**amounts).augment(n_frozen=0, n_blocks=2)
    return augment(batch_of(x), Draws(seed, x.device))


def draws(seed=0):
    return Draws(seed, torch.device("cpu"))


# ---- what happens to a batch


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", EVERYTHING)
def test_shapes_and_formats_are_kept_and_the_batch_is_another(name, device):
    for shape in [(7, 3, 40), (1, 1, 5), (2, 3, 1), (6, 4)]:
        if len(shape) == 2 and name not in ON_ROWS:
            continue
        for x in (windows(*shape, device=device), windows(*shape, device=device).double()):
            before = x.clone()
            found = changed(x, **{name: EVERYTHING[name]})
            assert (found.X.shape, found.X.dtype, found.X.device) == (x.shape, x.dtype, x.device)
            assert torch.equal(x, before)
            assert torch.isfinite(found.X).all()
            if shape == (7, 3, 40):
                assert not torch.equal(found.X, x)
            if name != "mixup":
                assert torch.equal(found.y, batch_of(x).y)
                assert torch.equal(found.weight, batch_of(x).weight)


def test_jitter_has_mean_zero_and_the_deviation_that_was_asked_for_in_every_number():
    x = windows(4000, 3, 20)
    noise = (changed(x, jitter=0.3).X - x).numpy()
    n = noise.size
    assert abs(noise.mean()) < 4 * 0.3 / np.sqrt(n)
    assert abs(noise.var() - 0.09) < 4 * 0.09 * np.sqrt(2 / n)
    assert abs(np.mean(noise[:, :, 1:] * noise[:, :, :-1])) < 4 * 0.09 / np.sqrt(n)  # independent along time
    assert abs(np.mean(noise[:, 0] * noise[:, 1])) < 4 * 0.09 / np.sqrt(n / 3)


def test_scaling_is_one_gaussian_factor_a_channel():
    x = windows(20_000, 3, 4) + 5
    factors = (changed(x, scaling=0.2).X / x).double().numpy()
    np.testing.assert_allclose(factors, np.repeat(factors[:, :, :1], 4, axis=2), rtol=1e-5)
    each, n = factors[:, :, 0], 60_000
    assert abs(each.mean() - 1) < 4 * 0.2 / np.sqrt(n)
    assert abs(each.var() - 0.04) < 4 * 0.04 * np.sqrt(2 / n)
    assert abs(np.corrcoef(each.T)[0, 1]) < 4 / np.sqrt(20_000)


def test_scaling_gives_each_number_of_a_row_its_own_factor():
    factors = (changed(torch.ones(20_000, 3), scaling=0.2).X).double().numpy()
    assert abs(factors.var() - 0.04) < 4 * 0.04 * np.sqrt(2 / 60_000)
    assert abs(np.corrcoef(factors.T)[0, 1]) < 4 / np.sqrt(20_000)


def test_a_shift_is_a_circular_permutation_that_all_channels_share():
    length, farthest = 20, 6
    x = torch.stack([torch.arange(length), 100 + torch.arange(length)]).float().expand(4000, 2, length)
    found = shift(x, 0.3, draws()).long().numpy()
    by = -found[:, 0, 0] % length  # where the first sample went
    by = np.where(by > length // 2, by - length, by)
    for window, step in zip(found[:200], by[:200], strict=True):
        np.testing.assert_array_equal(window, np.roll(x[0].numpy(), step, axis=1))
    values, counts = np.unique(by, return_counts=True)
    assert values.tolist() == list(range(-farthest, farthest + 1))
    expected = 4000 / 13
    assert ((counts - expected) ** 2 / expected).sum() < 32.9  # chi square of 12 degrees of freedom, 0.999


def test_a_crop_of_a_ramp_is_a_ramp_that_is_less_steep():
    length, most = 50, 0.4
    ramp = 3.0 * torch.arange(length).double()
    x = torch.stack([ramp, -2 * ramp]).expand(4000, 2, length)
    found = crop(x, most, draws()).numpy()
    slopes = np.diff(found, axis=2)
    np.testing.assert_allclose(slopes, np.repeat(slopes[:, :, :1], length - 1, axis=2), atol=1e-9)
    np.testing.assert_allclose(found[:, 1], -2 * found[:, 0], atol=1e-9)
    kept = slopes[:, 0, 0] / 3.0
    assert (1 - most) < kept.min() < 1 - most + 0.01
    assert 0.99 < kept.max() <= 1
    assert abs(kept.mean() - (1 - most / 2)) < 4 * most / np.sqrt(12 * 4000)
    start = found[:, 0, 0] / 3.0
    assert start.min() >= 0
    assert (found[:, 0, -1] <= ramp[-1].item() + 1e-9).all()
    assert np.corrcoef(start, 1 - kept)[0, 1] > 0.5  # what is cut at the front is a share of what is cut


def test_a_crop_interpolates_as_numpy_does():
    x = windows(5, 2, 30).double()
    found, again = crop(x, 0.5, draws(3)).numpy(), draws(3)
    cut, place = 0.5 * again.uniform(5).numpy(), again.uniform(5).numpy()
    for i in range(5):
        at = cut[i] * place[i] * 29 + (1 - cut[i]) * np.arange(30)
        for c in range(2):
            np.testing.assert_allclose(found[i, c], np.interp(at, np.arange(30), x[i, c].numpy()), rtol=1e-10)


@pytest.mark.parametrize("n_channels", [1, 2, 5])
def test_channels_are_dropped_whole_at_their_share_and_never_all(n_channels):
    n, rate = 20_000, 0.3
    for x in (torch.ones(n, n_channels, 3), torch.ones(n, n_channels)):
        found = changed(x, channel_dropout=rate).X.reshape(n, n_channels, -1).numpy()
        assert np.isin(found, [0.0, 1.0]).all()
        assert (found == found[:, :, :1]).all()
        assert found.any(axis=(1, 2)).all()
        expected = rate - rate**n_channels  # without the windows that would lose all
        bound = 4 * np.sqrt(rate / (n * n_channels))
        assert abs((1 - found[:, :, 0]).mean() - expected) < (bound if n_channels > 1 else 1e-12)


@pytest.mark.parametrize("shape", [(40, 3, 8), (40, 5)])
def test_mixup_is_that_of_numpy(shape):
    x = windows(*shape).double()
    batch, again = batch_of(x), draws(5)
    found = Change(mixup=0.4)(batch, draws(5))
    share, partner = again.beta(0.4, 40).numpy(), again.permutation(40).numpy()

    def mixed(values):
        by = share.reshape(-1, *[1] * (values.ndim - 1))
        return by * values + (1 - by) * values[partner]

    labels = np.eye(3)[batch.y.numpy()]
    np.testing.assert_allclose(found.X.numpy(), mixed(x.numpy()), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(found.y.numpy(), mixed(labels), rtol=1e-12)
    np.testing.assert_allclose(found.weight.numpy(), mixed(batch.weight.numpy()), rtol=1e-6)
    np.testing.assert_allclose(found.y.sum(dim=1).numpy(), 1.0, rtol=1e-12)
    twice = Change(mixup=0.4)(found, draws(6))
    np.testing.assert_allclose(twice.y.sum(dim=1).numpy(), 1.0, rtol=1e-12)
    values = Change(mixup=0.4)(batch._replace(y=torch.from_numpy(labels[:, :2]), n_classes=None), draws(5)).y
    np.testing.assert_allclose(values.numpy(), mixed(labels[:, :2]), rtol=1e-12)


def test_shares_of_mixup_are_those_of_the_beta_distribution():
    for alpha in (0.2, 1.0, 4.0):
        share = draws().beta(alpha, 50_000).numpy()
        variance = 1 / (4 * (2 * alpha + 1))
        assert abs(share.mean() - 0.5) < 4 * np.sqrt(variance / 50_000)
        assert abs(share.var() - variance) < 0.02 * variance


# ---- what it draws


def test_one_seed_gives_one_batch_and_no_generator_of_others_moves():
    x, before = windows(6, 2, 30), (torch.random.get_rng_state(), np.random.get_state()[1].copy())
    one, same, other = (changed(x, seed=seed, **EVERYTHING) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(one[:3], same[:3], strict=True))
    assert not torch.equal(one.X, other.X)
    shared = draws(1)
    augment = Augmentation(**EVERYTHING).augment(0, 2)
    assert not torch.equal(augment(batch_of(x), shared).X, augment(batch_of(x), shared).X)
    assert torch.equal(torch.random.get_rng_state(), before[0])
    np.testing.assert_array_equal(np.random.get_state()[1], before[1])


@pytest.mark.parametrize("device", DEVICES)
def test_all_but_noise_is_the_same_on_every_device(device):
    x = windows(6, 2, 30)
    amounts = {**EVERYTHING, "jitter": 0.0}
    found = changed(x.to(device), **amounts).X.cpu()
    torch.testing.assert_close(found, changed(x, **amounts).X, rtol=1e-5, atol=1e-6)


# ---- the question


def test_it_is_a_strategy_that_freezes_nothing_and_adds_nothing():
    alone = Augmentation(**EVERYTHING)
    assert (alone.n_frozen(3, 4), alone.lr_factor(2), alone.penalty({}, {})) == (0, 1.0, 0.0)
    assert (alone.head_solver(), alone.interpolation()) == (None, 1.0)
    assert alone.weight_decay_rate() == 0.0
    assert Strategy().augment(0, 3) is None


@pytest.mark.parametrize(
    ("strategy", "answers"),
    [
        (Augmentation(), [False, False]),
        (Augmentation(when_frozen=True), [False, False]),
        (Augmentation(jitter=0.1), [True, False]),
        (Augmentation(jitter=0.1, when_frozen=True), [True, True]),
        (FineTuning(1) & WeightDecay(), [False, False]),
        (Augmentation(mixup=1) & FineTuning(1), [True, False]),
    ],
    ids=repr,
)
def test_it_is_off_without_an_amount_and_while_all_is_frozen(strategy, answers):
    assert [strategy.augment(n_frozen, 3) is not None for n_frozen in (2, 3)] == answers


def test_two_answers_are_applied_one_after_the_other():
    class Twice(Strategy):
        def augment(self, n_frozen, n_blocks):
            return lambda batch, draws: batch._replace(X=2 * batch.X)

    class PlusOne(Strategy):
        def augment(self, n_frozen, n_blocks):
            return lambda batch, draws: batch._replace(X=batch.X + 1)

    x = windows(4, 3)
    for strategy, expected in ((Twice() & PlusOne(), 2 * x + 1), (PlusOne() & Twice(), 2 * (x + 1))):
        assert torch.equal(strategy.augment(0, 3)(batch_of(x), draws()).X, expected)


@pytest.mark.parametrize(
    "wrong",
    [
        {"jitter": -0.1}, {"jitter": np.inf}, {"scaling": "a"}, {"time_shift": 0.6}, {"crop": 1.0}, {"crop": np.nan},
        {"channel_dropout": 1.0}, {"mixup": -1}, {"mixup": True}, {"when_frozen": 1}, {"jitter": None},
    ],
    ids=repr,
)  # fmt: skip
def test_a_wrong_parameter_is_an_error_of_fit_that_names_it(wrong):
    name = next(iter(wrong))
    Augmentation(**wrong)
    for strategy in (Augmentation(**wrong), FineTuning("all") & Augmentation(**wrong)):
        with pytest.raises(ValueError, match=f"Augmentation got {name}="):
            TransferClassifier(small_backbone(max_epochs=1), strategy=strategy).fit(*moons(40))


@pytest.mark.parametrize("name", ["time_shift", "crop"])
@pytest.mark.parametrize("first", [FineTuning(1), FineTuning("all"), LinearProbing(), ProbeThenTune()], ids=repr)
def test_rows_have_no_time(name, first):
    model = TransferClassifier(small_backbone(max_epochs=1), strategy=first & Augmentation(**{name: 0.1}))
    with pytest.raises(ValueError, match=rf"Augmentation\({name}=0.1\) needs windows .* rows of 4 columns"):
        model.fit(*moons(40))
    with pytest.raises(ValueError, match=r"it got inputs of shape \(1, 8, 8\)"):
        changed(windows(5, 1, 8, 8), **{name: 0.1})


def test_a_strategy_of_ones_own_that_changes_the_shape_is_an_error():
    class Cuts(Strategy):
        def augment(self, n_frozen, n_blocks):
            return lambda batch, draws: batch._replace(X=batch.X[:, :2])

    with pytest.raises(ValueError, match=r"must keep the shape.*\(2, 2\) of \(2, 4\)"):
        TransferClassifier(small_backbone(max_epochs=1), strategy=Cuts()).fit(*moons(40))


def test_it_is_cloned_and_printed_as_every_strategy():
    strategy = FineTuning(1) & Augmentation(jitter=0.1)
    assert repr(clone(strategy)) == repr(strategy)
    assert Augmentation(jitter=0.1).get_params() == {
        **dict.fromkeys(EVERYTHING, 0.0), "jitter": 0.1, "when_frozen": False,
    }  # fmt: skip
