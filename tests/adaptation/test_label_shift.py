"""Shares of classes in the target: known shares come back."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from sktransfer import bbse_shares, em_shares
from sktransfer.adaptation.label_shift import share_distance


def _rows(shares, n, seed):
    rng = np.random.default_rng(seed)
    y = rng.choice(3, size=n, p=shares)
    return rng.normal(size=(n, 2)) + np.array([[0, 0], [2, 0], [0, 2]])[y], y


@pytest.mark.parametrize("shares", [(1 / 3, 1 / 3, 1 / 3), (0.8, 0.1, 0.1), (0.05, 0.05, 0.9), (0.6, 0.4, 0.0)])
def test_known_shares_are_found_where_predictions_alone_are_wrong(shares):
    X, y = _rows((0.4, 0.3, 0.3), 6000, 0)
    new, labels = _rows(shares, 6000, 1)
    true = np.bincount(labels, minlength=3) / len(labels)
    model = LogisticRegression().fit(X[:3000], y[:3000])
    em = em_shares(model.predict_proba(new), np.bincount(y[:3000]) / 3000)
    bbse = bbse_shares(y[3000:], model.predict(X[3000:]), model.predict(new))
    assert share_distance(em, true) < 0.03
    assert share_distance(bbse, true) < 0.03
    for found in (em, bbse):
        assert found.sum() == pytest.approx(1)
        assert (found >= 0).all()
    if max(shares) > 0.7:
        counted = np.bincount(model.predict(new), minlength=3) / len(new)
        assert share_distance(em, true) < share_distance(counted, true) / 2


def test_em_maximises_the_likelihood():
    rng = np.random.default_rng(0)
    p, source = rng.dirichlet([1, 1, 1], size=50), np.array([0.2, 0.3, 0.5])
    found = em_shares(p, source)

    def likelihood(shares):
        return np.log((p / source) @ shares).sum()

    others = rng.dirichlet([1, 1, 1], size=2000)
    near = 0.999 * found + 0.001 * others
    assert likelihood(found) >= max(map(likelihood, [*others, *near])) - 1e-4


def test_bbse_is_the_inverse_of_the_confusion_matrix():
    y, predicted = [0] * 10 + [1] * 10, [0] * 8 + [1] * 2 + [0] * 1 + [1] * 9
    target = [0] * 45 + [1] * 55
    expected = np.linalg.solve([[0.8, 0.1], [0.2, 0.9]], [0.45, 0.55])
    np.testing.assert_allclose(bbse_shares(y, predicted, target), expected, atol=1e-6)


def test_what_means_nothing_is_refused():
    with pytest.raises(ValueError, match="source_shares has shape"):
        em_shares(np.full((4, 2), 0.5), [1.0])
    with pytest.raises(ValueError, match="positive"):
        em_shares(np.full((4, 2), 0.5), [1.0, 0.0])
    with pytest.raises(ValueError, match="at least zero"):
        em_shares(np.full((4, 2), 0.5), [1.5, -0.5])
    with pytest.raises(ValueError, match="predicted_target"):
        bbse_shares([0, 1], [0, 1], [0, 2])
    assert share_distance([1, 0], [0, 1]) == 1
