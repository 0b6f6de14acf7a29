"""SHOT's loss and pseudo-labels against loops over their formulas; the estimate of shares against a known mixture."""

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax

from sktransfer import SHOT
from sktransfer.adaptation.shot import estimated_shares, pseudo_labels


@pytest.mark.parametrize("pseudo", [0, 0.3, 2])
@pytest.mark.parametrize("prior", [[1 / 3] * 3, [0.7, 0.2, 0.1]])
def test_the_loss_is_that_of_its_formula(pseudo, prior):
    rng = np.random.default_rng(0)
    outputs, labels = rng.normal(size=(8, 3)) * 3, rng.integers(3, size=8)
    p = softmax(outputs, axis=1)
    certain = -np.mean([sum(p[i, k] * np.log(p[i, k]) for k in range(3)) for i in range(8)])
    mean = p.mean(axis=0)
    spread = sum(mean[k] * np.log(mean[k] / prior[k]) for k in range(3))
    cross = -np.mean([log_softmax(outputs, axis=1)[i, labels[i]] for i in range(8)])
    found = SHOT(pseudo).loss(torch.from_numpy(outputs), torch.from_numpy(labels), prior)
    assert float(found) == pytest.approx(certain + spread + pseudo * cross, rel=1e-6)


def test_the_loss_stays_finite_for_certain_outputs_and_for_classes_without_a_share():
    outputs = torch.tensor([[500.0, 0.0], [400.0, -400.0]], requires_grad=True)
    loss = SHOT().loss(outputs, torch.tensor([1, 0]), [0.0, 1.0])
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(outputs.grad).all()


def loops(features, probabilities):
    """Equations 4 and 5 of Liang et al. 2020, one row and one class at a time."""
    rows = [np.append(f, 1) / np.linalg.norm(np.append(f, 1)) for f in features]
    n_classes = probabilities.shape[1]
    weights = probabilities
    present = sorted({int(np.argmax(p)) for p in probabilities})
    for _ in range(2):
        centroids = {
            k: sum(w[k] * r for w, r in zip(weights, rows, strict=True)) / sum(w[k] for w in weights) for k in present
        }
        cosine = [{k: r @ c / np.linalg.norm(r) / np.linalg.norm(c) for k, c in centroids.items()} for r in rows]
        labels = [max(row, key=row.get) for row in cosine]
        weights = [[float(label == k) for k in range(n_classes)] for label in labels]
        present = sorted(set(labels))
    return labels


def test_pseudo_labels_are_those_of_the_nearest_centroid_twice():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        features = rng.normal(size=(30, 5))
        probabilities = softmax(features[:, :4] + rng.normal(size=(30, 4)), axis=1)
        found = pseudo_labels(features, probabilities, np.full(30, -1))
        assert found.tolist() == loops(features, probabilities)


def test_a_class_that_is_never_the_most_probable_gets_no_row():
    rng = np.random.default_rng(0)
    probabilities = np.column_stack([rng.uniform(0.5, 1, size=(20, 2)), np.full(20, 0.45)])
    nobody = np.full(20, -1)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    assert 2 not in pseudo_labels(rng.normal(size=(20, 3)), probabilities, nobody)


def test_labels_are_kept_and_move_the_centroids():
    features = np.array([[4.0, 0], [5, 0], [4, 1], [0, 4], [0, 5], [1, 4]])
    wrong = np.tile([[0.4, 0.6], [0.6, 0.4]], (1, 1)).repeat(3, axis=0)
    assert pseudo_labels(features, wrong, np.full(6, -1)).tolist() == [1, 1, 1, 0, 0, 0]
    assert pseudo_labels(features, wrong, np.array([0, 0, -1, 1, 1, -1])).tolist() == [0, 0, 0, 1, 1, 1]


def test_a_labelled_row_among_rows_of_another_class_keeps_its_label():
    features = np.array([[4.0, 0], [5, 0], [4, 1], [0, 4], [0, 5], [1, 4]])
    right = np.array([[0.9, 0.1], [0.1, 0.9]]).repeat(3, axis=0)
    assert pseudo_labels(features, right, np.array([1, -1, -1, -1, -1, -1])).tolist() == [1, 0, 0, 1, 1, 1]


def test_estimated_shares_are_those_of_the_mixture():
    rng = np.random.default_rng(0)
    y = rng.choice(3, size=20_000, p=[0.8, 0.15, 0.05])
    x = rng.normal(size=20_000) + np.array([0, 1.5, 3])[y]
    density = np.exp(-0.5 * (x[:, None] - [0, 1.5, 3]) ** 2)
    posterior = density / density.sum(axis=1, keepdims=True)  # of a source of equal shares
    expected = [0.8, 0.15, 0.05]
    np.testing.assert_allclose(estimated_shares(posterior), expected, atol=0.09)
    # beyond the tenth of equal shares it is the mixture that explains the rows best
    np.testing.assert_allclose(_stationary(posterior), estimated_shares(posterior), atol=1e-4)


def _stationary(posterior, n_iter=3000):
    """Shares at which nine tenths of the mean posterior and a tenth of equal shares are the shares again."""
    shares = np.array([0.1, 0.1, 0.8])
    for _ in range(n_iter):
        weighted = [row * shares / (row @ shares) for row in posterior]
        shares, before = 0.9 * np.mean(weighted, axis=0) + 0.1 / 3, shares
        if abs(shares - before).max() < 1e-7:
            break
    return shares


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (SHOT(-0.1), "pseudo=-0.1"),
        (SHOT("a"), "pseudo='a'"),
        (SHOT(prior="even"), "prior='even'"),
        (SHOT(prior=[0.5, 0.5]), "3 shares"),
        (SHOT(prior=[0.5, 0.6, -0.1]), "none below 0"),
        (SHOT(prior=[0, 0, 0]), "3 shares"),
        (SHOT(prior=[0.5, np.nan, 0.5]), "3 shares"),
        (SHOT(prior=object()), "3 shares"),
    ],
)
def test_wrong_parameters_are_errors_that_name_them(method, message):
    with pytest.raises(ValueError, match=message):
        method.check(3)


def test_shares_are_equal_estimated_or_given_and_sum_to_one():
    estimated = np.array([0.6, 0.3, 0.1])
    np.testing.assert_allclose(SHOT().shares(estimated), [1 / 3] * 3)
    np.testing.assert_allclose(SHOT(prior="estimate").shares(estimated), estimated)
    np.testing.assert_allclose(SHOT(prior=[6, 3, 1]).shares(np.ones(3) / 3), estimated)
