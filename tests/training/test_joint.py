"""Joint fits: what a batch holds, what its loss estimates, and the rows that have no label."""

import numpy as np
import pytest
import torch

from sktransfer import DANN, DeepCORAL
from sktransfer.networks.head_modules import HeadModule
from sktransfer.networks.transfer_module import TransferModule
from sktransfer.training.joint import Joint
from sktransfer.training.rows import TrainingRows


def joint(n=(40, 10, 6), n_unlabelled=20, alignment=None, share=0.5):
    domains = np.repeat([1, 2, -1], n)
    rows = TrainingRows(
        np.arange(len(domains), dtype=np.float32)[:, None], np.zeros(len(domains), int), np.ones(sum(n))
    )
    found = Joint(domains, np.zeros((n_unlabelled, 1), np.float32), share, alignment)
    return found, found.balanced(rows)


def test_each_machine_has_its_share_of_the_weight():
    found, rows = joint(share=0.3)
    for domain, share in ((1, 0.35), (2, 0.35), (-1, 0.3)):
        assert rows.weight[found.domains == domain].sum() / rows.weight.sum() == pytest.approx(share)
    assert rows.weight.mean() == pytest.approx(1)


def test_every_batch_holds_rows_of_every_machine():
    found, rows = joint(alignment=DeepCORAL())
    streams = found.streams(rows, 16)
    batches = list(streams.order(0).draw(torch.device("cpu")))
    assert len(batches) == 4  # 56 labelled rows
    everything = np.r_[found.domains, [-9] * 20]
    for batch in batches:
        machine = everything[batch.numpy()]
        assert (machine[:4] == 2).all()
        assert (machine[4:8] == 1).all()
        assert (machine[8:14] == -1).all()  # six rows, all of them
        assert np.isin(machine[14:], [-1, -9]).all()
        assert len(batch) == 4 + 4 + 6 + 8


def test_no_row_is_drawn_twice_before_every_row_of_its_machine_was():
    found, rows = joint(n=(40, 12, 6), alignment=DeepCORAL())
    streams = found.streams(rows, 16)
    drawn = torch.stack(list(streams.order(3).draw(torch.device("cpu"))))
    for stream, part in zip(streams.streams, streams.slices(), strict=True):
        counts = np.bincount(drawn[:, part].reshape(-1).numpy(), minlength=78)[stream.rows.numpy()]
        assert counts.max() - counts.min() <= 1


def test_the_loss_of_a_batch_estimates_the_weighted_mean_over_all_labelled_rows():
    found, rows = joint()
    losses = torch.linspace(0.1, 3, len(rows.X), dtype=torch.float64)
    weight = torch.from_numpy(rows.weight)
    streams = found.streams(rows, 16)
    estimates = []
    order = streams.order(0)
    for _ in range(300):
        estimates += [float(streams.label_loss(losses[b], weight[b])) for b in order.draw(torch.device("cpu"))]
    assert np.mean(estimates) == pytest.approx(float((losses * weight).mean()), rel=0.01)


def test_an_alignment_gets_the_sources_and_rows_of_the_target_that_need_no_label():
    seen = []

    class Noting(DeepCORAL):
        def loss(self, source, target, outputs, *, network=None, progress=1.0):
            seen.append((source, target, outputs, progress))
            return torch.tensor(5.0)

    found, rows = joint(alignment=Noting(weight=3.0))
    streams = found.streams(rows, 16)
    n = sum(stream.count for stream in streams.streams)
    features, outputs = torch.arange(n)[:, None].float(), torch.arange(n)[:, None].float() * 2
    module = TransferModule([torch.nn.Identity()], HeadModule(1, (), 0.0, 2), ["only"])
    aligning = streams.aligning(module, 0, features)
    assert float(aligning.loss(features, outputs, 0.25)) == 15.0
    source, target, of_target, progress = seen[0]
    assert source.flatten().tolist() == list(range(8))
    assert target.flatten().tolist() == list(range(14, 22))
    assert of_target.flatten().tolist() == [2 * k for k in range(14, 22)]
    assert progress == 0.25
    assert aligning.epoch_mean(0, torch.zeros(1)) == 5.0


def test_an_adversary_trains_along_and_changes_from_fit_to_fit_with_the_seed_alone():
    found, rows = joint(alignment=DANN())
    streams, module = (
        found.streams(rows, 16),
        TransferModule([torch.nn.Identity()], HeadModule(1, (), 0.0, 2), ["only"]),
    )
    first, again, other = (streams.aligning(module, seed, torch.zeros(1, 1)).network for seed in (0, 0, 1))
    assert torch.equal(first[0].weight, again[0].weight)
    assert not torch.equal(first[0].weight, other[0].weight)
