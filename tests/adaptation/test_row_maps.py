"""SubspaceAlignment, CORAL and OTMapping: by the papers' formulas, by hand, and in pipelines."""

import builtins
import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy.optimize import linprog
from scipy.spatial.distance import cdist
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.utils.estimator_checks import parametrize_with_checks

from sktransfer import CORAL, BaselineScaler, OTMapping, Pooled, SubspaceAlignment, make_pipeline
from sktransfer.exceptions import DataQualityWarning, LabelShiftWarning


@pytest.fixture
def rows():
    """Two classes; the target is turned and moved, and lacks its labels."""
    rng = np.random.default_rng(0)
    y = np.tile([0, 1], 40)
    X = rng.normal(size=(80, 3)) + y[:, None] * [4.0, 0, 0]
    domain = np.repeat([1, -1], 40)
    turn = np.array([[0.8, 0.6, 0], [-0.6, 0.8, 0], [0, 0, 2.0]])
    X[40:] = X[40:] @ turn + [3, 1, 0]
    return X, y, np.where(domain < 0, -1, y), domain


@pytest.mark.filterwarnings("ignore:.*got no sample_domain:sktransfer.exceptions.DataQualityWarning")
@parametrize_with_checks([SubspaceAlignment(), CORAL(), OTMapping()])
def test_scikit_learns_checks(estimator, check):
    check(estimator)


def test_the_mapped_source_has_mean_and_covariance_of_the_target(rows):
    X, _, masked, domain = rows
    mapped = CORAL(reg=0).fit_transform(X, masked, sample_domain=domain)
    np.testing.assert_allclose(np.cov(mapped[:40].T), np.cov(X[40:].T), atol=1e-10)
    np.testing.assert_allclose(mapped[:40].mean(axis=0), X[40:].mean(axis=0), atol=1e-10)
    np.testing.assert_array_equal(mapped[40:], X[40:])


def test_coral_refuses_what_it_cannot_whiten(rows):
    X, _, masked, domain = rows
    X[:, 2] = X[:, 0]
    with pytest.raises(ValueError, match="reg > 0"):
        CORAL(reg=0).fit(X, masked, sample_domain=domain)
    assert np.isfinite(CORAL().fit_transform(X, masked, sample_domain=domain)).all()


def test_subspaces_are_aligned_as_in_the_paper(rows):
    X, _, _, domain = rows
    mapped = SubspaceAlignment(2).fit_transform(X, sample_domain=domain)
    source, target = (PCA(2).fit(part) for part in (X[:40], X[40:]))
    P_s, P_t = source.components_.T, target.components_.T
    expected = (X[:40] - X[:40].mean(axis=0)) @ P_s @ P_s.T @ P_t
    signs = np.sign(np.diag(target.transform(X[40:]).T @ mapped[40:]))
    np.testing.assert_allclose(mapped[:40], expected * signs, atol=1e-10)
    np.testing.assert_allclose(mapped[40:], target.transform(X[40:]) * signs, atol=1e-10)
    with pytest.raises(ValueError, match="at most 3"):
        SubspaceAlignment(4).fit(X, sample_domain=domain)


@pytest.mark.parametrize("cost", ["l1", "sqeuclidean"])
def test_transport_is_optimal_by_a_linear_program_and_keeps_the_mass(rows, cost):
    pytest.importorskip("ot", reason="needs POT")
    X = rows[0]
    source, target = X[:12], X[40:49]
    model = OTMapping(cost)
    mass = np.full(12, 1 / 12)
    coupling = model._coupling(mass, source, target)
    np.testing.assert_allclose(coupling.sum(axis=1), mass, atol=1e-12)
    np.testing.assert_allclose(coupling.sum(axis=0), 1 / 9, atol=1e-12)
    C = cdist(source, target, "cityblock" if cost == "l1" else "sqeuclidean")
    A = np.vstack([np.kron(np.eye(12), np.ones(9)), np.kron(np.ones(12), np.eye(9))])
    best = linprog(C.ravel(), A_eq=A, b_eq=np.r_[mass, np.full(9, 1 / 9)]).fun
    assert (coupling * C).sum() == pytest.approx(best, rel=1e-9)
    stacked, ids = np.r_[source, target], np.r_[np.ones(12, dtype=int), -np.ones(9, dtype=int)]
    mapped = OTMapping(cost).fit_transform(stacked, sample_domain=ids)
    np.testing.assert_allclose(mapped[:12], 12 * coupling @ target, atol=1e-9)


def test_transport_by_hand():
    pytest.importorskip("ot", reason="needs POT")
    X = np.array([[0.0], [1.0], [2.0], [10.0], [16.0]])
    domain = [1, 1, 1, -1, -1]
    # each target row takes one and a half source rows: the middle one is split
    model = OTMapping("sqeuclidean").fit(X, sample_domain=domain)
    np.testing.assert_allclose(model.transform(X, sample_domain=domain).ravel(), [10, 13, 16, 10, 16])
    np.testing.assert_array_equal(model.transform(X), X)
    # a new source row goes as the nearest one of the fit; rows alone of one machine do, too
    np.testing.assert_allclose(model.transform([[1.9]], sample_domain=[1]), [[15.9]])
    prior = OTMapping("sqeuclidean", prior={"a": 0.25, "b": 0.75}).fit_transform(
        np.array([[0.0], [1.0], [10.0], [11.0], [12.0], [13.0]]),
        ["a", "b", *4 * [None]],
        sample_domain=[1, 1] + 4 * [-1],
    )
    np.testing.assert_allclose(prior[:2].ravel(), [10, 12])


def test_shares_that_differ_are_said_and_a_prior_mends_it():
    pytest.importorskip("ot", reason="needs POT")
    rng = np.random.default_rng(0)
    y = np.r_[np.tile([0, 1], 100), np.repeat([0, 1], [95, 5])]
    domain = np.repeat([1, -1], [200, 100])
    X = rng.normal(size=(300, 2)) * 0.5 + y[:, None] * 3
    masked = np.where(domain < 0, -1, y)
    with pytest.warns(LabelShiftWarning, match="prior="):
        plain = make_pipeline(OTMapping(), Pooled(LogisticRegression())).fit(X, masked, sample_domain=domain)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mended = make_pipeline(OTMapping(prior="estimate"), Pooled(LogisticRegression()))
        mended.fit(X, masked, sample_domain=domain)
        mixed = np.random.default_rng(0).choice([1, -1], 300)  # the same shares: nothing to say
        OTMapping().fit(X, np.where(mixed < 0, -1, y), sample_domain=mixed)
    np.testing.assert_allclose(mended[0].target_shares_, [0.95, 0.05], atol=0.03)
    accuracy = [(model.predict(X[200:]) == y[200:]).mean() for model in (plain, mended)]
    assert accuracy[0] < 0.9 < 0.98 < accuracy[1]


@pytest.mark.parametrize(
    ("prior", "words"), [([0.5, 0.6], "sum to 1"), ({7: 1.0}, r"names \[7\]"), ([1.0], "2 shares"), ("other", "prior")]
)
def test_a_prior_that_means_nothing_is_refused(rows, prior, words):
    X, _, masked, domain = rows
    with pytest.raises(ValueError, match=words):
        OTMapping(prior=prior).fit(X, masked, sample_domain=domain)
    with pytest.raises(ValueError, match="prior"):
        OTMapping(prior=prior).fit(X, sample_domain=domain)


def test_without_pot_the_error_says_how_to_get_it(rows, monkeypatch):
    X, _, masked, domain = rows
    real = builtins.__import__

    def missing(name, *args, **kwargs):
        if name == "ot":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ImportError, match=r"pip install sktransfer\[ot\]"):
        OTMapping().fit(X, masked, sample_domain=domain)


@pytest.mark.parametrize("adapter", [SubspaceAlignment(), CORAL(), OTMapping()])
def test_a_pipeline_trains_on_mapped_source_rows_and_predicts_target_rows(rows, adapter):
    if isinstance(adapter, OTMapping):
        pytest.importorskip("ot", reason="needs POT")
    X, _, masked, domain = rows
    pipe = make_pipeline(adapter, Pooled(LogisticRegression())).fit(X, masked, sample_domain=domain)
    mapped = adapter.fit_transform(X, masked, sample_domain=domain)
    alone = LogisticRegression().fit(mapped[:40], masked[:40])
    expected = alone.predict_proba(mapped[40:])
    np.testing.assert_allclose(pipe.predict_proba(X[40:]), expected, atol=1e-6)
    np.testing.assert_allclose(pipe.predict_proba(X, sample_domain=domain)[40:], expected, atol=1e-6)
    np.testing.assert_allclose(pipe.predict_proba(X, sample_domain=domain), alone.predict_proba(mapped), atol=1e-6)
    names = np.where(domain < 0, "new", "old")
    adapter = type(adapter)(target_domain="new")
    by_name = make_pipeline(adapter, Pooled(LogisticRegression(), target_domain="new"))
    by_name.fit(pd.DataFrame(X, columns=list("abc")), masked, sample_domain=names)
    np.testing.assert_allclose(by_name.predict_proba(pd.DataFrame(X[40:], columns=list("abc"))), expected, atol=1e-6)


def test_in_a_search_with_a_scaler_of_each_machine(rows):
    X, y, _, domain = rows
    pipe = make_pipeline(BaselineScaler(compress=False), CORAL(), Pooled(LogisticRegression()))
    search = GridSearchCV(pipe, {"coral__reg": [0.001, 0.1]}, cv=3, error_score="raise")
    search.fit(X, y, sample_domain=domain)
    for reg, scores in zip((0.001, 0.1), _fold_scores(search), strict=True):
        pipe.set_params(coral__reg=reg)
        for (train, test), score in zip(StratifiedKFold(3).split(X, y), scores, strict=True):
            pipe.fit(X[train], y[train], sample_domain=domain[train])
            assert score == pytest.approx(pipe.score(X[test], y[test]))


def _fold_scores(search):
    return np.transpose([search.cv_results_[f"split{i}_test_score"] for i in range(3)])


@pytest.mark.parametrize("adapter", [SubspaceAlignment(), CORAL(), OTMapping()])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sample_domain": np.ones(80, dtype=int)}, "no target rows"),
        ({"sample_domain": -np.ones(80, dtype=int)}, "no source rows"),
        ({"sample_domain": np.zeros(80, dtype=int)}, "other than zero"),
        ({"sample_domain": np.ones(7, dtype=int)}, "shape"),
        ({"sample_domain": np.where(np.arange(80) < 79, "A", "B")}, "target_domain"),
        ({"sample_domain": np.where(np.arange(80) < 79, 1, -1)}, "at least 2"),
        ({"y": np.zeros(3)}, "one value a row"),
        ({"X": np.full((80, 3), np.nan)}, "NaN"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(rows, adapter, change, words):
    X, _, masked, domain = rows
    given = {"X": X, "y": masked, "sample_domain": domain} | change
    with pytest.raises(ValueError, match=words):
        adapter.fit(**given)


@pytest.mark.parametrize("adapter", [SubspaceAlignment(), CORAL()])
def test_bad_domains_are_refused_when_rows_are_mapped(rows, adapter):
    X, _, _, domain = rows
    adapter.fit(X, sample_domain=domain)
    for bad in (np.zeros(80, dtype=int), np.ones(80), np.ones(3, dtype=int)):
        with pytest.raises(ValueError, match="sample_domain"):
            adapter.transform(X, sample_domain=bad)
    with pytest.warns(DataQualityWarning, match="nothing to map"):
        type(adapter)().fit(X)


@pytest.fixture
def skada():
    """Importing skada turns scikit-learn's metadata routing on for the whole process; here it is put back."""
    before = sklearn.get_config()["enable_metadata_routing"]
    try:
        yield pytest.importorskip("skada", reason="needs skada")
    finally:
        sklearn.set_config(enable_metadata_routing=before)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_as_skada(rows, skada):
    X, _, masked, domain = rows
    X = X - np.where(domain[:, None] > 0, X[:40].mean(axis=0), X[40:].mean(axis=0))
    for ours, theirs, atol in (
        (CORAL(reg=0), skada.CORALAdapter(reg=1e-12), 1e-4),
        (SubspaceAlignment(2), skada.SubspaceAlignmentAdapter(n_components=2), 1e-6),
        (OTMapping("sqeuclidean"), skada.OTMappingAdapter(), 1e-6),
    ):
        if isinstance(ours, OTMapping):
            pytest.importorskip("ot", reason="needs POT")
        expected = theirs.fit_transform(X, masked, sample_domain=domain)
        expected = expected[0] if isinstance(expected, tuple) else expected
        expected = getattr(expected, "X", expected)
        found = ours.fit_transform(X, sample_domain=domain)
        # an axis may point either way
        signs = np.sign((found * expected).sum(axis=0)) if isinstance(ours, SubspaceAlignment) else 1
        np.testing.assert_allclose(found, expected * signs, atol=atol)


def test_as_pot_for_rows_of_the_fit_and_new_ones(rows):
    ot = pytest.importorskip("ot", reason="needs POT")
    X, _, _, domain = rows
    transport = ot.da.EMDTransport(metric="sqeuclidean").fit(Xs=X[:40], Xt=X[40:])
    model = OTMapping("sqeuclidean").fit(X, sample_domain=domain)
    np.testing.assert_allclose(
        model.transform(X[:40], np.ones(40, dtype=int)), transport.transform(Xs=X[:40]), atol=1e-8
    )
    new = X[:40] + 0.1
    np.testing.assert_allclose(model.transform(new, np.ones(40, dtype=int)), transport.transform(Xs=new), atol=1e-8)


def test_a_source_row_without_a_label_is_a_clash_and_numbers_to_predict_are_none(rows):
    X, _, masked, domain = rows
    with pytest.raises(ValueError, match="unlabelled_label=-1"):
        OTMapping().fit(X, np.where(masked == 0, -1, masked), sample_domain=domain)
    pytest.importorskip("ot", reason="needs POT")
    numbers = OTMapping().fit(X, X[:, 0], sample_domain=domain)
    assert not hasattr(numbers, "classes_")
    texts = np.array(["ok", "leak"], dtype=object)[np.tile([0, 1], 40)]
    texts[domain < 0] = None
    balanced = OTMapping(prior=[0.5, 0.5]).fit(X, texts, sample_domain=domain)
    assert balanced.classes_.tolist() == ["leak", "ok"]
    np.testing.assert_allclose(balanced.displacement_, numbers.displacement_, atol=1e-9)


def test_a_class_has_the_mass_of_its_share_however_many_rows_it_has():
    pytest.importorskip("ot", reason="needs POT")
    X, y = np.array([[0.0], [0.1], [0.2], [5.0], [10.0], [20.0]]), ["a", "a", "a", "b", None, None]
    model = OTMapping("sqeuclidean", prior={"a": 0.5, "b": 0.5}).fit(X, y, sample_domain=[1, 1, 1, 1, -1, -1])
    mapped = model.transform(X, sample_domain=[1, 1, 1, 1, -1, -1])
    np.testing.assert_allclose(mapped.ravel(), [10, 10, 10, 20, 10, 20])  # by equal mass one of "a" would reach 20
    np.testing.assert_allclose(model.target_shares_, [0.5, 0.5])
