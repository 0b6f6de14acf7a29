"""DomainAdaptationClassifier and -Regressor: who is who, what a row counts, what is refused, what is learned."""

import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

import sktransfer
from sktransfer import (
    DANN,
    MCC,
    Augmentation,
    DataQualityWarning,
    DeepCORAL,
    DomainAdaptationClassifier,
    DomainAdaptationRegressor,
    FineTuning,
    FromScratch,
    LinearProbing,
    OutOfRangeWarning,
    TransferClassifier,
)
from sktransfer.adaptation.alignment import Alignment

SMALL = FromScratch(arguments={"hidden_layer_sizes": (16,)})


def machines(n_rows=120, n_labelled=12, seed=0):
    """Three machines, the last the target, of which only the first rows have a label; the truth of all rows."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(3 * n_rows, 4)).astype(np.float32)
    truth = np.where(X[:, 0] + X[:, 1] > 0, "leak", "normal").astype(object)
    domain = np.repeat([1, 2, -1], n_rows)
    y = truth.copy()
    y[2 * n_rows + n_labelled :] = None
    return X, y, domain, truth


def model(**parameters):
    return DomainAdaptationClassifier(SMALL, **{"max_epochs": 3, "lr": 0.01, "random_state": 0} | parameters)


def test_it_learns_what_the_sources_know_and_finds_the_targets_rows():
    X, y, domain, truth = machines()
    fitted = model(max_epochs=30).fit(X, y, sample_domain=domain)
    target = domain < 0
    assert (fitted.predict(X[target]) == truth[target]).mean() > 0.93
    assert fitted.classes_.tolist() == ["leak", "normal"]
    assert fitted.domains_ == {1: 1, 2: 2, -1: -1}
    assert fitted.n_unlabelled_ == 108
    assert isinstance(fitted.alignment_, MCC)
    assert all(record["alignment_loss"] >= 0 for record in fitted.history_)


def test_labels_of_the_target_outweigh_what_the_sources_say_of_the_same_rows():
    """On the target the classes are the other way round: only its few labels tell."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(620, 3))
    domain = np.repeat([1, -1], [600, 20])
    right = np.where(X[:, 0] > 0, 1, 0)
    y = np.where(domain > 0, right, 1 - right)
    shares = [0.02, 0.98]
    few, many = (model(target_weight=s, max_epochs=20).fit(X, y, sample_domain=domain).predict(X) for s in shares)
    assert (few == right).mean() > 0.9
    assert (many == 1 - right).mean() > 0.8


@pytest.mark.parametrize("alignment", [None, DeepCORAL(), DANN()])
def test_a_weight_is_as_many_copies_and_the_order_of_rows_is_without_effect(alignment):
    X, y, domain, _ = machines(40)
    weight = np.resize([1, 3, 2], len(X)).astype(float)
    weight[pd.isna(y)] = 1
    weighed = model(alignment=alignment).fit(X, y, sample_domain=domain, sample_weight=weight)
    copies = np.repeat(np.arange(len(X)), weight.astype(int))[::-1]
    repeated = model(alignment=alignment).fit(X[copies], y[copies], sample_domain=domain[copies])
    np.testing.assert_array_equal(weighed.predict_proba(X), repeated.predict_proba(X))


def test_texts_with_target_domain_are_the_numbers():
    X, y, domain, _ = machines(40)
    names = np.array([{1: "A", 2: "B", -1: "C"}[number] for number in domain])
    by_number = model().fit(X, y, sample_domain=domain)
    by_name = model(target_domain="C").fit(X, y, sample_domain=names)
    np.testing.assert_array_equal(by_number.predict_proba(X), by_name.predict_proba(X))
    assert by_name.domains_ == {1: "A", 2: "B", -1: "C"}


def test_marks_of_rows_without_a_label_are_all_the_same():
    X, y, domain, truth = machines(40)
    codes = np.where(truth == "leak", 1, 0)
    without = pd.isna(y)
    expected = model().fit(X, np.where(without, -1, codes), sample_domain=domain).predict_proba(X)
    other = model(unlabelled_label=7).fit(X, np.where(without, 7, codes), sample_domain=domain)
    series = model().fit(X, pd.Series(codes).where(~without).astype("Int64"), sample_domain=domain)
    np.testing.assert_array_equal(other.predict_proba(X), expected)
    np.testing.assert_array_equal(series.predict_proba(X), expected)
    assert other.classes_.tolist() == [0, 1]


def test_frames_of_pandas_and_polars_are_arrays_with_names():
    polars = pytest.importorskip("polars")
    X, y, domain, _ = machines(40)
    expected = model().fit(X, y, sample_domain=domain).predict_proba(X)
    names = ["a", "b", "c", "d"]
    frame = pd.DataFrame(X, columns=names, index=np.arange(len(X))[::-1])
    of_pandas = model().fit(frame, pd.Series(y, index=frame.index), sample_domain=pd.Series(domain, index=frame.index))
    np.testing.assert_array_equal(of_pandas.predict_proba(frame), expected)
    frame = polars.DataFrame(X, schema=names)
    of_polars = model().fit(frame, y, sample_domain=polars.Series(domain))
    np.testing.assert_array_equal(of_polars.predict_proba(frame), expected)
    assert of_polars.feature_names_in_.tolist() == names


def test_windows_are_taken_like_rows():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(90, 2, 64)).astype(np.float32)
    y = np.resize([0, 1, 2], 90)
    X[y == 1] *= 3
    y[60:] = -1
    fitted = DomainAdaptationClassifier(max_epochs=2, random_state=0).fit(X, y, sample_domain=np.repeat([1, -1], 45))
    assert fitted.predict_proba(X).shape == (90, 3)
    assert fitted.n_unlabelled_ == 30


def test_a_class_of_one_machine_alone_is_a_class():
    X, y, domain, truth = machines(60)
    y[(domain == 1) & (truth == "leak")] = "wear"  # on one source alone
    y[121] = "new"  # on the target alone
    assert model().fit(X, y, sample_domain=domain).classes_.tolist() == ["leak", "new", "normal", "wear"]


def test_a_single_row_of_the_target_and_fewer_rows_than_a_batch_are_defined():
    X, y, domain, _ = machines(60)
    kept = (domain > 0) | (np.arange(len(X)) == 120)
    for alignment in (None, DeepCORAL(), DANN(), MCC()):
        fitted = model(alignment=alignment).fit(X[kept], y[kept], sample_domain=domain[kept])
        assert np.isfinite(fitted.predict_proba(X)).all()
    assert fitted.n_unlabelled_ == 0
    for size in (1, 2, 7):
        assert np.isfinite(model(batch_size=size).fit(X, y, sample_domain=domain).predict_proba(X)).all()


def test_a_frozen_block_stays_as_it_is_and_is_computed_once(monkeypatch):
    X, y, domain, _ = machines()
    source = TransferClassifier(FromScratch(arguments={"hidden_layer_sizes": (16, 8)}), max_epochs=3, random_state=0)
    backbone = source.fit(X[:120], y[:120]).backbone_
    strategy = FineTuning(n_frozen_blocks=1)
    fitted = DomainAdaptationClassifier(backbone, strategy=strategy, max_epochs=3, random_state=0)
    once = fitted.fit(X, y, sample_domain=domain).predict_proba(X)
    assert fitted.backbone_.changed(backbone.copy_blocks()) == [False, True]
    monkeypatch.setattr("sktransfer.training.frozen_features.BUDGET", 0)  # computed again for every batch
    again = clone(fitted).fit(X, y, sample_domain=domain).predict_proba(X)
    np.testing.assert_allclose(once, again, atol=1e-4)


def test_the_features_come_the_nearer_the_more_the_alignment_weighs():
    X, y, domain, _ = machines()
    X[domain < 0] = X[domain < 0] * [3, 1, 1, 1]
    ends = [
        model(alignment=DeepCORAL(weight=weight), max_epochs=30).fit(X, y, sample_domain=domain).history_[-1]
        for weight in (0.0, 3.0)
    ]
    assert ends[1]["alignment_loss"] < 0.5 * ends[0]["alignment_loss"]


def test_the_network_of_an_alignment_trains_along():
    X, y, domain, _ = machines(40)
    seen = []

    class Noting(DANN):
        def loss(self, source, target, outputs, *, network=None, progress=1.0):
            seen.append((network[0].weight.detach().clone(), progress))
            return super().loss(source, target, outputs, network=network, progress=progress)

    model(alignment=Noting()).fit(X, y, sample_domain=domain)
    assert (seen[0][0] - seen[-1][0]).abs().max() > 1e-4
    assert seen[0][1] == 0
    assert 0.5 < seen[-1][1] < 1


def test_with_an_alignment_training_does_not_end_where_the_labels_are_learned():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 2)) + 20 * np.resize([0, 1], 200)[:, None]
    y, domain = np.resize([0, 1], 200), np.repeat([1, -1], 100)
    fits = [
        model(alignment=alignment, max_epochs="auto", lr=0.05).fit(X, y, sample_domain=domain)
        for alignment in (None, MCC())
    ]
    assert fits[0].n_iter_ < fits[1].n_iter_ == fits[1]._n_epochs(200)


def test_a_probe_of_all_machines_is_that_of_weighted_rows():
    X, y, domain, truth = machines()
    labelled = np.array([label is not None for label in y])
    backbone = TransferClassifier(SMALL, max_epochs=5, random_state=0).fit(X[:120], y[:120]).backbone_
    probe = LinearProbing(alpha=0.5)
    joint = DomainAdaptationClassifier(backbone, alignment=None, strategy=probe)
    joint.fit(X[labelled], y[labelled], sample_domain=domain[labelled])
    weight = np.where(domain < 0, 0.5 / 12, 0.25 / 120)[labelled]
    pooled = TransferClassifier(backbone, strategy=probe)
    pooled.fit(X[labelled], truth[labelled], sample_weight=weight / weight.mean())
    # the temperature comes from folds, which depend on the order of rows; before it the heads are one
    logits = [
        np.log(p[:, 0] / p[:, 1]) * fitted.history_[0]["temperature"]
        for fitted, p in ((fitted, fitted.predict_proba(X)) for fitted in (joint, pooled))
    ]
    np.testing.assert_allclose(*logits, atol=0.02)


def test_two_fits_are_one_a_clone_and_a_file_predict_the_same_and_nothing_of_the_caller_changes(tmp_path):
    X, y, domain, _ = machines(40)
    before = X.copy(), y.copy(), domain.copy()
    fitted = model(alignment=DANN()).fit(X, y, sample_domain=domain)
    expected = fitted.predict_proba(X)
    np.testing.assert_array_equal(clone(fitted).fit(X, y, sample_domain=domain).predict_proba(X), expected)
    np.testing.assert_array_equal(fitted.fit(X, y, sample_domain=domain).predict_proba(X), expected)
    joblib.dump(fitted, tmp_path / "model.joblib")
    np.testing.assert_array_equal(joblib.load(tmp_path / "model.joblib").predict_proba(X), expected)
    for now, then in zip((X, y, domain), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_good_data_is_quiet():
    X, y, domain, _ = machines()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model(max_epochs=5).fit(X, y, sample_domain=domain).predict(X)
        model(max_epochs=5, alignment=None).fit(X, y, sample_domain=domain)


@pytest.mark.parametrize(("alignment", "n_warnings"), [(MCC(), 0), (None, 1)])
def test_rows_without_a_label_belong_to_the_range_of_training_where_something_is_learned_from_them(
    alignment, n_warnings
):
    X, y, domain, _ = machines()
    X[252:, 2] *= 50
    fitted = model(alignment=alignment).fit(X, y, sample_domain=domain)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fitted.predict(X[252:])
    assert sum(issubclass(one.category, OutOfRangeWarning) for one in caught) == n_warnings


def test_a_row_of_weight_zero_is_no_row():
    X, y, domain, _ = machines(40)
    weight = np.ones(len(X))
    weight[[3, 50, 82, 100]] = 0
    kept = weight > 0
    without = model().fit(X[kept], y[kept], sample_domain=domain[kept])
    fitted = model().fit(X, y, sample_domain=domain, sample_weight=weight)
    np.testing.assert_array_equal(fitted.predict_proba(X), without.predict_proba(X))
    with pytest.raises(ValueError, match="the target has no label"):
        model(alignment=None).fit(X, y, sample_domain=domain, sample_weight=(domain > 0).astype(float))
    with pytest.raises(ValueError, match="no source row has a sample_weight above zero"):
        model().fit(X, y, sample_domain=domain, sample_weight=(domain < 0).astype(float))


# ---- bad input


def few(y, domain, n):
    y = y.copy()
    y[np.flatnonzero(domain < 0)[n:]] = None
    return y


def test_without_domains_a_warning_says_that_all_rows_are_taken_for_one_machine():
    X, _, _, truth = machines(40)
    with pytest.warns(DataQualityWarning, match="got no sample_domain.*positive for source") as caught:
        fitted = model().fit(X, truth)
    assert caught[0].filename == __file__
    plain = TransferClassifier(SMALL, max_epochs=3, lr=0.01, random_state=0).fit(X, truth)
    np.testing.assert_array_equal(fitted.predict_proba(X), plain.predict_proba(X))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"sample_domain": np.repeat([1, 2, 3], 120)}, "no target rows.*target_domain"),
        ({"sample_domain": np.repeat([-1, -2, -3], 120)}, "no source rows"),
        ({"sample_domain": np.repeat([1, 2, 0], 120)}, "sample_domain takes whole numbers other than zero"),
        ({"sample_domain": np.repeat([1.0, 2.0, -1.0], 120)}, "sample_domain takes whole numbers"),
        ({"sample_domain": np.repeat([1, -1], 60)}, r"sample_domain has shape \(120,\)"),
        ({"sample_domain": np.repeat(["A", "B", "C"], 120)}, "target_domain"),
        ({"y": machines()[1][:100]}, r"\[360, 100\]"),
        ({"y": None}, "requires y to be passed"),
        ({"sample_weight": np.ones(3)}, "sample_weight"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_rows_that_cannot_be_told_apart_are_an_error_that_names_the_argument(changed, words):
    X, y, domain, _ = machines()
    given = {"y": y, "sample_domain": domain} | changed
    with pytest.raises(ValueError, match=words):
        model().fit(X, **given)


def test_a_target_without_any_label_needs_an_alignment():
    X, y, domain, _ = machines()
    y = few(y, domain, 0)
    assert model().fit(X, y, sample_domain=domain).alignment_ is not None
    with pytest.raises(ValueError, match=r"the target has no label.*pass alignment=MCC\(\)"):
        model(alignment=None).fit(X, y, sample_domain=domain)
    kept = (domain > 0) | (np.arange(len(X)) < 250)
    with pytest.raises(ValueError, match="has 10 rows, fewer than 32, and no label"):
        model().fit(X[kept], y[kept], sample_domain=domain[kept])


def test_a_source_row_without_a_label_is_an_error_that_names_unlabelled_label():
    X, _, domain, truth = machines()
    codes = np.where(truth == "leak", 1, -1)  # -1 is a class
    with pytest.raises(ValueError, match=r"source rows carry unlabelled_label=-1.*pass another unlabelled_label"):
        model().fit(X, codes, sample_domain=domain)
    assert model(unlabelled_label=-9).fit(X, codes, sample_domain=domain).classes_.tolist() == [-1, 1]


def test_an_alignment_with_nothing_to_change_and_augmented_batches_are_refused():
    X, y, domain, _ = machines()
    backbone = TransferClassifier(SMALL, max_epochs=1, random_state=0).fit(X[:120], y[:120]).backbone_
    probing = DomainAdaptationClassifier(backbone, alignment=DeepCORAL(), strategy=LinearProbing())
    with pytest.raises(ValueError, match=r"keeps all blocks frozen.*alignment=None"):
        probing.fit(X, y, sample_domain=domain)
    assert clone(probing).set_params(alignment="auto").fit(X, y, sample_domain=domain).alignment_ is None
    with pytest.raises(ValueError, match=r"the target has no label.*let blocks learn"):
        clone(probing).set_params(alignment="auto").fit(X, few(y, domain, 0), sample_domain=domain)
    with pytest.raises(ValueError, match="Leave Augmentation out"):
        model(strategy=FineTuning() & Augmentation(jitter=0.1)).fit(X, y, sample_domain=domain)


class Broken(Alignment):
    """An alignment whose loss is not finite from the second step on."""

    def __init__(self, weight=1.0):
        self.weight = weight

    def loss(self, source, target, outputs, *, network=None, progress=1.0):
        return source.mean() * 0 + (float("nan") if progress > 0 else 0.0)


def test_a_loss_of_an_alignment_that_is_not_finite_is_said_to_be_that():
    X, y, domain, _ = machines()
    with pytest.raises(ValueError, match=r"alignment=Broken\(\) is not finite in epoch 1, where that of the labels is"):
        model(alignment=Broken()).fit(X, y, sample_domain=domain)
    with pytest.raises(ValueError, match=r"not finite in epoch \d+: training diverged|a weight is not finite"):
        model(lr=1e20).fit(X, y, sample_domain=domain)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"target_weight": 0.0}, "target_weight"),
        ({"target_weight": 1}, "target_weight"),
        ({"alignment": "coral"}, "alignment"),
        ({"alignment": DeepCORAL(weight=-1)}, "weight"),
    ],
)
def test_parameters_are_checked(parameters, words):
    X, y, domain, _ = machines(40)
    with pytest.raises(ValueError, match=words):
        model(**parameters).fit(X, y, sample_domain=domain)


# ---- regression


def test_a_regressor_gives_values_in_their_unit_and_refuses_what_needs_classes():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 3))
    y = 100 + 20 * X[:, 0]
    domain = np.repeat([1, -1], 200)
    truth = y.copy()
    y[230:] = np.nan
    regressor = DomainAdaptationRegressor(SMALL, max_epochs=40, lr=0.01, random_state=0)
    fitted = regressor.fit(X, y, sample_domain=domain)
    assert np.abs(fitted.predict(X[200:]) - truth[200:]).mean() < 4
    assert fitted.n_unlabelled_ == 170
    assert fitted.alignment_ is None
    with pytest.raises(ValueError, match="a regressor has none"):
        clone(regressor).set_params(alignment=MCC()).fit(X, y, sample_domain=domain)
    with pytest.raises(ValueError, match="source rows carry"):
        regressor.fit(X, np.r_[y[1:], np.nan], sample_domain=domain[::-1])
    two = np.column_stack([y, -y])
    assert clone(regressor).set_params(max_epochs=2).fit(X, two, sample_domain=domain).predict(X).shape == (400, 2)


def test_importing_and_fitting_leave_scikit_learns_configuration_as_it_is():
    import sklearn

    before = sklearn.get_config()
    X, y, domain, _ = machines(40)
    sktransfer.DomainAdaptationClassifier(SMALL, max_epochs=1).fit(X, y, sample_domain=domain)
    assert sklearn.get_config() == before
