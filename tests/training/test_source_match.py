"""Rows of the source head are taken where the labelled rows confirm them, whatever the classes are called."""

import warnings
from math import log

import numpy as np
import pytest
from sklearn.ensemble import VotingClassifier
from sklearn.model_selection import cross_val_predict
from torch import nn

from sktransfer import (
    Backbone,
    FineTuning,
    FromScratch,
    Inputs,
    LinearHead,
    LinearProbing,
    ProbeThenTune,
    Source,
    SourceClassWarning,
    TransferClassifier,
    TransferRegressor,
)
from sktransfer.solvers.evidence import LogEvidence
from sktransfer.solvers.laplace import LaplacePath
from sktransfer.strategies.base import HeadSolver
from sktransfer.training import source_match
from sktransfer.training.head_start import HeadStart
from sktransfer.training.rows import TrainingRows
from sktransfer.training.source_match import SourceMatch, _first_of_each, _rising
from sktransfer.training.tasks import Classification
from sktransfer.validation.labels import is_numbered

NAMES = np.array(["ball", "healthy", "inner", "outer"])
N = 12


def backbone(names=NAMES, seed=0):
    """Columns passed on, and a source head that knows where each class lies."""
    weight = 2.0 * centres(seed)[: len(names)]
    source = Source(np.zeros(N), np.ones(N), weight, -0.25 * (weight**2).sum(axis=1), np.array(names))
    return Backbone(nn.Sequential(nn.Identity()), inputs=Inputs(n=N), source=source)


def centres(seed=0):
    return np.random.default_rng(seed).normal(size=(len(NAMES), N)) * 0.9


def rows(n=2, seed=1, k=4):
    """`n` rows of each of the first `k` classes, close together: the source head is right nearly always."""
    codes = np.repeat(np.arange(k), n)
    X = centres()[codes] + np.random.default_rng(seed).normal(size=(len(codes), N))
    return X.astype(np.float32), codes


def probed(names, n=2, *, of=None, source_classes="auto", **parameters):
    X, codes = rows(n)
    head = LinearHead(source_classes=source_classes)
    model = TransferClassifier(of or backbone(), head=head, strategy=LinearProbing(), random_state=0)
    return model.set_params(**parameters).fit(X, np.asarray(names)[codes])


def score(model, names):
    X, codes = rows(200, seed=2)
    return float(np.mean(model.predict(X) == np.asarray(names)[codes]))


def test_one_label_a_class_is_enough_for_the_right_names():
    model = probed(NAMES, 1)
    assert model.source_classes_ == NAMES.tolist()
    foreign = probed(["p", "q", "r", "s"], 1, source_classes=None)
    assert foreign.source_classes_ == [None] * 4
    assert score(model, NAMES) > score(foreign, ["p", "q", "r", "s"]) + 0.05


@pytest.mark.parametrize("n", [1, 2, 5, 20])
@pytest.mark.parametrize("shift", [1, 2, 3])
@pytest.mark.parametrize("strategy", [LinearProbing(), LinearProbing(solver="ridge")], ids=repr)
@pytest.mark.filterwarnings("ignore::sktransfer.exceptions.SourceClassWarning")
def test_wrong_names_do_no_harm(n, shift, strategy):
    permuted = np.roll(NAMES, shift)
    foreign = np.char.add("my ", permuted)
    right, wrong = (score(probed(names, n, strategy=strategy), names) for names in (foreign, permuted))
    assert wrong >= right - 1e-9


def test_names_that_mean_something_else_are_said_and_stating_so_is_silent():
    with pytest.warns(SourceClassWarning, match="not with its classes of the same names") as found:
        model = probed(np.roll(NAMES, 1), 5)
    assert len(found) == 1
    assert model.source_classes_ == np.roll(NAMES, -1).tolist()  # where the rows of the sorted classes lie
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert probed(np.roll(NAMES, 1), 5, source_classes=None).source_classes_ == [None] * 4
        probed(NAMES, 5)
        probed(["p", "q", "r", "s"], 5)


def test_agreement_finds_classes_that_are_called_otherwise():
    names = ["s", "p", "r", "q"]
    assert probed(names, 5).source_classes_ == ["healthy", "outer", "inner", "ball"]
    X, codes = rows(5)
    found = TransferClassifier(backbone(), strategy=LinearProbing()).fit(X, np.array(names)[codes])
    stated = probed(names, 5, source_classes=dict(zip(names, NAMES, strict=True)))
    np.testing.assert_array_equal(found.predict_proba(X), stated.predict_proba(X))


@pytest.mark.parametrize("kind", [int, float, bool])
def test_numbers_never_match_by_value_alone(kind):
    k = 2 if kind is bool else 4
    codes, numbers = np.repeat(np.arange(k), 3), np.arange(k).astype(kind)
    noise = np.random.default_rng(0).normal(size=(len(codes), N)).astype(np.float32)
    of = backbone(numbers)
    model = TransferClassifier(of, strategy=LinearProbing()).fit(noise, numbers[codes])
    assert model.source_classes_ == [None] * k
    X, codes = rows(6, k=k)
    model.fit(X, numbers[::-1][codes])  # what agrees is found, whatever the value says
    if kind is not bool:  # two classes that are easily told apart need no source, and prove none
        assert model.source_classes_ == numbers[::-1].tolist()
        assert model.fit(X, numbers[codes]).source_classes_ == numbers.tolist()
    with pytest.raises(ValueError, match="source_classes='same'"):
        model.set_params(head=LinearHead(init="source")).fit(noise, numbers[np.repeat(np.arange(k), 3)])
    same = LinearHead(init="source", source_classes="same")
    assert model.set_params(head=same).fit(X, numbers[codes]).source_classes_ == numbers.tolist()


def test_labels_that_an_encoder_numbered_are_noticed_and_lose_nothing():
    X, codes = rows(5)
    y, model = NAMES[codes], TransferClassifier(backbone(), strategy=LinearProbing(), random_state=0)
    expected = model.fit(X, y).predict_proba(X)
    with pytest.warns(SourceClassWarning, match=r"integers 0 to 3.*source_classes=\['ball', 'healthy'") as said:
        voting = VotingClassifier([("one", model)], voting="soft").fit(X, y)
    assert str(said[0].message).count("'healthy'") == 1  # the list of names stands there once
    np.testing.assert_array_equal(voting.predict_proba(X), expected)
    stated = model.set_params(head=LinearHead(source_classes=NAMES.tolist()))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(stated.fit(X, codes).predict_proba(X), expected)
        np.testing.assert_array_equal(stated.fit(X, y).predict_proba(X), expected)
        cross_val_predict(stated, X, y, cv=2, method="predict_proba")


def test_numbers_in_no_order_are_not_taken_for_an_encoder_s():
    X, codes = rows(5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = TransferClassifier(backbone(), strategy=LinearProbing()).fit(X, np.array([2, 0, 3, 1])[codes])
    assert model.source_classes_ == ["healthy", "outer", "ball", "inner"]


def test_a_statement_is_obeyed_and_said_where_the_rows_contradict_it():
    wrong = dict(zip(NAMES, np.roll(NAMES, 1), strict=True))
    with pytest.warns(SourceClassWarning, match=r"agree with \['ball', 'healthy', 'inner', 'outer'\] far better"):
        model = probed(NAMES, 5, source_classes=wrong)
    assert model.source_classes_ == np.roll(NAMES, 1).tolist()


@pytest.mark.parametrize("init", ["auto", "source"])
@pytest.mark.parametrize("source_classes", [["inner", "inner", "outer", "outer"], ("inner", None, None, "ball")])
def test_classes_may_share_a_source_class_or_have_none(init, source_classes):
    head = LinearHead(init=init, source_classes=source_classes)
    if init == "source" and None in source_classes:
        with pytest.raises(ValueError, match="does not know the classes"):
            probed(NAMES, 2, head=head)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert probed(NAMES, 2, head=head).source_classes_ == list(source_classes)


@pytest.mark.parametrize(
    ("source_classes", "message"),
    [
        ("equal", "must be 'auto', 'same', None, a list or a dict"),
        (3, "must be 'auto', 'same', None, a list or a dict"),
        (["ball", "inner", "outer"], r"lists 3 source classes, but y holds 4"),
        (["ball", "healthy", "iner", "outer"], "did you mean 'inner'"),
        ({"p": "ball"}, "names no source class for any of the classes"),
    ],
)
def test_statements_that_cannot_be_meant_are_errors(source_classes, message):
    with pytest.raises(ValueError, match=message):
        probed(NAMES, 2, source_classes=source_classes)
    with pytest.raises(ValueError, match="names no source class"):
        probed(["p", "q", "r", "s"], 2, source_classes="same")


def test_a_statement_needs_a_source_head_but_a_network_from_scratch_and_a_regressor_ignore_it():
    X, codes = rows(5)
    bare, head = Backbone(nn.Sequential(nn.Linear(N, N)), inputs=Inputs(n=N)), LinearHead(source_classes="same")
    with pytest.raises(ValueError, match="carries no source head"):
        TransferClassifier(bare, head=head, strategy=LinearProbing()).fit(X, codes)
    scratch = TransferClassifier(FromScratch(), head=head, max_epochs=1).fit(X, codes)
    assert scratch.source_classes_ == [None] * 4
    TransferRegressor(bare, head=head, strategy=LinearProbing()).fit(X, X[:, 0])


def test_an_infinite_alpha_keeps_the_source_head_by_text_whatever_the_rows_say():
    X, codes = rows(5)
    model = TransferClassifier(backbone(), strategy=LinearProbing(alpha=np.inf)).fit(X, np.roll(NAMES, 1)[codes])
    assert model.source_classes_ == NAMES.tolist()


@pytest.mark.parametrize("strategy", [FineTuning(), ProbeThenTune()], ids=repr)
def test_heads_that_train_by_epochs_begin_by_the_same_rule(strategy):
    for names in (NAMES, ["s", "p", "r", "q"]):
        began = probed(names, 5, strategy=strategy, max_epochs=1).source_classes_
        assert began == probed(names, 5).source_classes_


def test_a_single_known_class_tells_nothing_of_the_others():
    X, codes = rows(2)
    trial = source_match._Trial(
        backbone().source, np.array(["healthy", "x", "y", "z"]), X, TrainingRows(X, codes, np.ones(8))
    )
    assert trial.ahead(np.array([1, -1, -1, -1])) == pytest.approx(0, abs=1e-6)


def test_the_evidence_is_the_integral_over_the_change_of_the_head():
    """Two rows, two classes, one direction: the integral over the difference of the logits, by quadrature."""
    features, codes = np.array([[1.0], [-2.0]]), np.array([0, 1])
    W0, b0 = np.array([[0.3], [-0.3]]), np.array([0.1, -0.1])
    grid = np.linspace(-60, 60, 601)
    u, v = np.meshgrid(grid, grid)  # change of the difference of the rows' weights, and of their biases
    best = -np.inf
    for alpha in (1.0, 0.1, 0.01, 0.001):
        if alpha < 0.1:  # Laplace's approximation is far off there, and never the best here
            continue
        density = np.exp(-alpha * (u**2 + v**2) / 4)  # variance 2 / alpha of a difference
        logits = np.stack([(W0[0] - W0[1] + u) * f + b0[0] - b0[1] + v for f in features[:, 0]])
        likelihood = 1 / (1 + np.exp(-logits[0])) / (1 + np.exp(logits[1]))
        best = max(best, np.log((density * likelihood).sum() / density.sum()))
    assert LogEvidence(features, codes, np.ones(2), 2)(W0, b0) == pytest.approx(best, abs=0.08)


def test_evidence_that_cannot_be_computed_proves_nothing(monkeypatch):
    def fails(self, alpha):
        raise np.linalg.LinAlgError

    monkeypatch.setattr(LaplacePath, "log_evidence", fails)
    assert probed(NAMES, 5).source_classes_ == [None] * 4


def test_weights_count_as_copies_and_at_most_64_rows_judge():
    codes = np.repeat([0, 1, 2], [100, 2, 40])
    chosen = _first_of_each(codes, 4)
    assert len(chosen) == 64
    assert np.bincount(codes[chosen]).tolist() == [31, 2, 31]
    assert (np.diff(chosen) > 0).all()
    features = np.random.default_rng(0).normal(size=(6, 3))
    y, W0, b0 = np.array([0, 1, 1, 0, 2, 2]), np.random.default_rng(1).normal(size=(3, 3)), np.zeros(3)
    twice = LogEvidence(np.repeat(features, 2, axis=0), np.repeat(y, 2), np.ones(12), 3)(W0, b0)
    assert LogEvidence(features, y, np.full(6, 2.0), 3)(W0, b0) == pytest.approx(twice, rel=1e-6)


def test_rising_columns_are_the_best_of_all_combinations():
    from itertools import combinations

    gain = np.random.default_rng(0).normal(size=(3, 6))
    best = max(combinations(range(6), 3), key=lambda columns: gain[np.arange(3), columns].sum())
    assert _rising(gain).tolist() == list(best)
    assert _rising(gain[:, :3]).tolist() == [0, 1, 2]


def test_odds_and_numbers():
    assert (source_match.STRONG, source_match.DECISIVE) == (log(10), log(100))
    assert is_numbered([0, 1, 2])
    assert not any(map(is_numbered, ([1, 2], [0, 2], [False, True], [0.0, 1.0], ["0", "1"])))


@pytest.mark.parametrize("solver", ["lbfgs", "ridge"])
def test_a_new_class_is_drawn_to_the_mean_of_the_known_rows(solver):
    X, codes = rows(3)
    source, match = backbone().source, SourceMatch(np.array([2, 0, -1, -1]))
    task = Classification(np.array(["inner", "ball", "x", "y"]), None)
    W, b, known = task.source_rows("auto", source, N, match)
    start = HeadStart("auto", "source", source.feature_mean, source.feature_scale, W, b, known, np.ones(N, dtype=bool))
    found = task.solve(start, X.astype(float), TrainingRows(X, codes, np.ones(len(X))), HeadSolver(1e9, solver))
    expected = np.vstack([source.weight[[2, 0]], np.tile(source.weight[[2, 0]].mean(axis=0), (2, 1))])
    logits = X @ expected.T + np.r_[source.bias[[2, 0]], np.full(2, source.bias[[2, 0]].mean())]
    given = (X @ found.weight.T + found.bias) * found.temperature
    centred = [values - values.mean(axis=1, keepdims=True) for values in (given, logits)]
    np.testing.assert_allclose(*centred, atol=1e-5)


AGREEING, ORDER = np.array([1, 0, 2, 3]), np.arange(4)


def judge(own, ahead, names=NAMES, nothing=-100.0):
    """A trial in which the evidence of each matching is given; its rows agree with AGREEING."""
    trial = object.__new__(source_match._Trial)
    trial.names, trial.own, trial.present, trial.nothing = list(names), list(own), np.arange(4), nothing
    likelihood = np.full((4, 4), -9.0)
    likelihood[np.arange(4), AGREEING] = 0.0
    trial._agreement = lambda: likelihood
    trial.ahead = lambda rows: ahead.get(tuple(rows.tolist()), -50.0)
    return trial


def earned(own, equal, ahead, **parameters):
    return judge(own, {tuple(rows): nats for rows, nats in ahead}, **parameters).earned(np.array(equal))


@pytest.mark.parametrize(
    ("own", "equal", "proposed", "price", "by"),
    [
        (NAMES.tolist(), ORDER, ORDER, log(10), "name"),
        ([1, 2, 3, 4], ORDER, ORDER, log(100), "name"),
        ([0, 2, 5, 9], ORDER, ORDER, log(10), "name"),  # codes: nobody counts with gaps
        ([0.0, 2.0, 5.0, 9.0], ORDER, ORDER, log(100), "name"),
        ([0, 1, 2, 3], [-1] * 4, ORDER, log(10), "order"),
        (["p", "q", "r", "s"], [-1] * 4, AGREEING, log(100) + log(24), "agreement"),
    ],
)
def test_each_way_to_a_matching_has_its_price(own, equal, proposed, price, by):
    names = own if by == "name" else NAMES
    for nats, expected in ((price - 0.1, "nothing"), (price + 0.1, by)):
        match = earned(own, equal, [(proposed, nats)], names=names)
        assert match.by == expected
        assert match.known.all() == (expected != "nothing")
    # labels that a head of zeros explains nearly as well can earn nothing, so nothing is tried
    assert earned(own, equal, [(proposed, price + 0.1)], names=names, nothing=-price).by == "nothing"


def test_codes_of_which_the_source_has_some_pay_as_numbers_do():
    equal = np.array([0, 1, 2, -1])
    for nats, by in ((log(100) - 0.1, "nothing"), (log(100) + 0.1, "name")):
        assert earned([0, 2, 5, 9], equal, [(equal, nats)], names=[0, 2, 5, 11]).by == by


def test_an_order_among_more_classes_pays_for_their_number():
    names = ["ball", "cage", "healthy", "inner", "outer"]
    trial = judge([0, 1, 2, 3], {}, names=names)
    trial._agreement = lambda: np.zeros((4, 5))
    assert trial._in_order()[1] == pytest.approx(log(5))
    assert trial._agreeing()[1] == pytest.approx(log(120))
    assert judge([2, 1, 0, 3], {})._in_order()[0] is None


@pytest.mark.parametrize(("agreeing", "by"), [(9.0, "name"), (10.0, "name"), (11.0, "agreement"), (12.0, "agreement")])
def test_the_matching_that_is_furthest_above_its_price_is_taken(agreeing, by):
    # names: 5 - log(10) = 2.7 above; agreement: 10.5 would be as much
    match = earned(NAMES.tolist(), ORDER, [(ORDER, 5.0), (AGREEING, agreeing)])
    assert match.by == by
    assert (match.better is not None) == (by == "agreement")


@pytest.mark.parametrize(("agreeing", "said"), [(10.0, False), (10.7, False), (10.9, True)])
def test_a_statement_is_contradicted_by_rows_that_decisively_agree_with_others(agreeing, said):
    ahead = {tuple(ORDER.tolist()): 3.0, tuple(AGREEING.tolist()): agreeing}
    match = judge(NAMES.tolist(), ahead).tried(ORDER)  # 3 + log(100) + log(24) = 10.8
    assert match.by == "statement"
    assert (match.better is not None) == said
    # classes that share a source class are no permutation, and nothing is compared
    assert judge(NAMES.tolist(), ahead).tried(np.array([0, 0, 1, 1])).better is None


def test_an_encoder_numbers_names_in_alphabetical_order_however_the_source_lists_them():
    trial = judge([0, 1, 2, 3], {}, names=["outer", "ball", "inner", "healthy"])
    np.testing.assert_array_equal(trial._in_order()[0], [1, 3, 2, 0])


def test_rows_judge_with_their_weights():
    X, codes = rows(2)
    weight = np.linspace(1, 3, len(X))
    trial = source_match._Trial(backbone().source, NAMES, X.astype(float), TrainingRows(X, codes, weight))
    np.testing.assert_array_equal(trial.weight, weight)


@pytest.mark.parametrize("way", [{"strategy": LinearProbing(alpha=np.inf)}, {"head": LinearHead(init="source")}])
def test_numbers_of_an_encoder_meet_an_obeyed_source_head_by_their_rows(way):
    X, codes = rows(5)
    model = TransferClassifier(backbone(), random_state=0, **{"strategy": LinearProbing(), **way})
    with pytest.warns(SourceClassWarning, match="as if an encoder had numbered the names"):
        model.fit(X, codes)
    assert model.source_classes_ == NAMES.tolist()
    named = TransferClassifier(backbone(), random_state=0, **{"strategy": LinearProbing(), **way}).fit(X, NAMES[codes])
    np.testing.assert_array_equal(model.predict_proba(X), named.predict_proba(X))


def test_a_class_of_a_statement_that_y_does_not_hold_is_said():
    with pytest.warns(SourceClassWarning, match=r"names the classes \['iner'\], which y does not hold.*\['inner'\]"):
        model = probed(NAMES, source_classes={"ball": "ball", "iner": "inner", "healthy": "healthy", "outer": "outer"})
    assert model.source_classes_ == ["ball", "healthy", None, "outer"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        every = dict(zip(NAMES, NAMES, strict=True))
        probed(NAMES, source_classes=every)
        probed(NAMES, source_classes={**every, "spare": None})  # a fold may lack a class
        probed(NAMES, source_classes={"ball": "ball"})


def test_an_order_pays_for_the_number_of_orders():
    """Four of six names in alphabetical order: one of fifteen choices."""
    likelihood = np.full((4, 6), -9.0)
    likelihood[np.arange(4), [0, 2, 3, 5]] = 0.0
    for more, by in ((-0.01, "nothing"), (0.01, "order")):
        trial = judge(range(4), {(0, 2, 3, 5): log(10) + log(15) + more}, names="abcdef")
        trial._agreement = lambda: likelihood
        assert trial.earned(np.full(4, -1)).by == by


def test_agreement_weighs_the_rows():
    X, codes = rows(3)
    weight = np.random.default_rng(0).uniform(0.1, 5, size=len(codes))
    source = backbone().source
    found = source_match._Trial(source, NAMES, X, TrainingRows(X, codes, weight))._agreement()
    expected = np.zeros((4, 4))
    for x, code, w in zip(X.astype(float), codes, weight, strict=True):
        odds = np.exp(source.weight @ x + source.bias)
        expected[code] += w * np.log(odds / odds.sum())
    np.testing.assert_allclose(found, expected, rtol=1e-6)
