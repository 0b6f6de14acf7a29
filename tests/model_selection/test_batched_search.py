"""In float64 a batched search has the scores of scikit-learn's, whatever the grid, the splits and the pipeline."""

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import TruncatedSVD
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    PredefinedSplit,
    RandomizedSearchCV,
    ShuffleSplit,
    StratifiedKFold,
    TimeSeriesSplit,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, PowerTransformer, StandardScaler

from sktransfer import (
    L2SP,
    BaselineScaler,
    BatchedGridSearchCV,
    BatchedRandomizedSearchCV,
    FineTuning,
    FromScratch,
    GradualUnfreezing,
    LayerDecay,
    LinearProbing,
    ProbeThenTune,
    WeightDecay,
    save_backbone,
)
from tests.helpers import computing_in
from tests.searches import FROZEN, LR, SMALL, VALUES, X, Y, backbone, both, grid, how, model, pipeline, regression

FRAME = pd.DataFrame(X, columns=list("abcd"))
GROUPS = np.random.default_rng(0).integers(0, 6, len(X))
OTHER_WIDTH = FromScratch(arguments={"hidden_layer_sizes": (6,)})
WEIGHTS = {"leak": 3.0, "normal": 1.0, "wear": 0.5}


STRATEGIES = {
    "heads": lambda: (
        pipeline(),
        grid(lr=LR, strategy=[FROZEN, FROZEN & WeightDecay(0.3)], head__dropout=[0.0, 0.5]),
    ),
    "depths and widths": lambda: (
        pipeline(),
        grid(strategy__n_frozen_blocks=[0, 1, 2, 3], head__hidden_layer_sizes=[(8,), (4, 4)]),
    ),
    "class weights": lambda: (pipeline(), grid(class_weight=[None, "balanced", WEIGHTS], lr=LR)),
    "pulls to the source": lambda: (
        pipeline(head=None),
        grid(strategy=[L2SP(0.0), L2SP(1.0), FineTuning(1) & L2SP(0.3), LayerDecay(0.5), LayerDecay(0.3) & L2SP(0.1)]),
    ),
    "default strategy": lambda: (pipeline(head=None, strategy=None), grid(lr=LR)),
    "probe, then tune": lambda: (
        pipeline(head=None, strategy=ProbeThenTune()),
        grid(strategy__tune_rate=[0.1, 1.0], strategy__tune_interpolation=[0.3, 1.0], strategy__alpha=[0.1, "auto"]),
    ),
    "probed MLP heads": lambda: (
        pipeline(strategy=ProbeThenTune()),
        grid(lr=LR, strategy__tune_interpolation=[0.5, 1.0]),
    ),
    "gradual unfreezing": lambda: (pipeline(strategy=GradualUnfreezing(1), max_epochs=5), grid(lr=LR)),
    "from scratch": lambda: (
        pipeline(None, head=None, strategy=None),
        grid(lr=LR, backbone=[SMALL, OTHER_WIDTH], strategy=[None, WeightDecay(0.2)]),
    ),
    "heads on untrained networks": lambda: (pipeline(SMALL), grid(random_state=[0, 1], lr=LR)),
    "batches with a row to spare": lambda: (pipeline(SMALL, head=None, strategy=None, batch_size=7), grid(lr=LR)),
    "batch sizes and epochs": lambda: (pipeline(), grid(batch_size=[16, 32, 1000], max_epochs=[1, 2], lr=LR)),
    "backbones": lambda: (
        pipeline(),
        grid(backbone=[backbone(), backbone(1), backbone(0, 12)], lr=LR),
    ),
    "random states": lambda: (
        pipeline(),
        grid(random_state=[0, 1, np.random.RandomState(3), np.random.default_rng(4)]),
    ),
    "list of grids": lambda: (pipeline(), [grid(lr=LR), grid(batch_size=[16, 32])]),
    "one output": lambda: (regression(), {"transferregressor__lr": LR}, X, VALUES[:, 0]),
    "two outputs": lambda: (regression(), {"transferregressor__lr": LR}, X, VALUES),
}


@pytest.mark.parametrize("case", STRATEGIES)
def test_stacked_candidates_score_as_they_do_alone(case):
    estimator, candidates, *data = STRATEGIES[case]()
    search = both(estimator, candidates, *data, scoring=None if data else "neg_log_loss")
    assert how(search) == {"stacked"}
    assert len({*np.round(search.cv_results_["mean_test_score"], 12)}) > 1  # the candidates do differ


@pytest.mark.parametrize("labels", [Y, VALUES[:, 0], VALUES], ids=["classes", "value", "values"])
def test_solved_heads_score_as_they_do_alone(labels):
    estimator = pipeline(head=None, strategy=LinearProbing()) if labels is Y else regression(strategy=LinearProbing())
    candidates = {f"{estimator.steps[-1][0]}__strategy__alpha": [0.01, 1.0, "auto"]}
    search = both(estimator, candidates, X, labels, scoring="neg_log_loss" if labels is Y else "r2")
    assert how(search) == {"solved"}


def test_a_backbone_in_a_file_is_searched_like_the_object(tmp_path):
    path = str(save_backbone(backbone(), tmp_path / "b.safetensors"))
    search = both(pipeline(), grid(backbone=[path, backbone()], lr=LR))
    assert how(search) == {"stacked"}
    np.testing.assert_array_equal(*search.cv_results_["mean_test_score"].reshape(2, 2))


SPLITS = {
    "groups": lambda: {"cv": GroupKFold(3), "fit": {"groups": GROUPS}},
    "shuffled": lambda: {"cv": ShuffleSplit(3, test_size=0.3, random_state=0)},
    "in time": lambda: {"cv": TimeSeriesSplit(3)},
    "predefined": lambda: {"cv": PredefinedSplit(GROUPS % 3)},
    "given": lambda: {"cv": list(KFold(3, shuffle=True, random_state=0).split(X))},
    "one class missing": lambda: {"cv": PredefinedSplit(np.unique(Y, return_inverse=True)[1]), "scoring": "accuracy"},
}


@pytest.mark.parametrize("case", SPLITS)
def test_splits_are_those_of_scikit_learn(case):
    assert how(both(pipeline(), grid(lr=LR), **SPLITS[case]())) == {"stacked"}


class Noting(StratifiedKFold):
    """Shuffled anew at every call; keeps what it gave."""

    def split(self, X, y=None, groups=None):
        self.drawn = [*getattr(self, "drawn", []), list(super().split(X, y))]
        return iter(self.drawn[-1])


@pytest.mark.parametrize("random_state", [None, np.random.RandomState(5)])
def test_splits_are_drawn_once_however_many_preprocessings_there_are(random_state):
    cv = Noting(3, shuffle=True, random_state=random_state)
    candidates = grid(lr=LR) | {"standardscaler__with_std": [True, False]}
    search = BatchedGridSearchCV(pipeline(), candidates, cv=cv, scoring="neg_log_loss").fit(X, Y)
    assert len(cv.drawn) == 1
    again = BatchedGridSearchCV(pipeline(), candidates, cv=cv.drawn[0], scoring="neg_log_loss").fit(X, Y)
    np.testing.assert_array_equal(search.cv_results_["mean_test_score"], again.cv_results_["mean_test_score"])


def test_splits_may_come_from_a_generator():
    scores = [
        BatchedGridSearchCV(pipeline(), grid(lr=LR), cv=cv).fit(X, Y).cv_results_["mean_test_score"]
        for cv in (KFold(3), (pair for pair in KFold(3).split(X)))
    ]
    np.testing.assert_array_equal(*scores)


def _half(rows):
    return rows / 2


PIPELINES = {
    "frames": lambda: (pipeline(), grid(lr=LR), FRAME, pd.Series(Y)),
    "frames between the steps": lambda: (pipeline().set_output(transform="pandas"), grid(lr=LR), FRAME, Y),
    "lists": lambda: (pipeline(), grid(lr=LR), X.tolist(), Y.tolist()),
    "booleans": lambda: (pipeline(), grid(lr=LR), X, X[:, 0] > 0),
    "sparse rows": lambda: (
        make_pipeline(TruncatedSVD(4, random_state=0), model()),
        grid(lr=LR),
        csr_matrix(np.column_stack([X, X])),
        Y,
    ),
    "several steps": lambda: (
        Pipeline([("first", "passthrough"), ("scale", BaselineScaler()), ("net", model())]),
        {"scale__method": ["standard", "robust"], "first": ["passthrough", PowerTransformer()], "net__lr": LR},
    ),
    "only passthrough": lambda: (Pipeline([("first", "passthrough"), ("net", model())]), {"net__lr": LR}),
    "columns": lambda: (
        Pipeline(
            [
                ("cols", ColumnTransformer([("a", StandardScaler(), ["a", "b"])], remainder="passthrough")),
                ("net", model()),
            ]
        ),
        {"cols__a__with_mean": [True, False], "net__lr": LR},
        FRAME,
        Y,
    ),
    "nested": lambda: (
        make_pipeline(make_pipeline(StandardScaler()), model()),
        {"pipeline__standardscaler__with_std": [True, False], "transferclassifier__lr": LR},
    ),
    "functions that cannot be pickled": lambda: (
        Pipeline([("f", FunctionTransformer()), ("net", model())]),
        {"f__func": [lambda rows: rows, lambda rows: 2 * rows, _half], "net__lr": LR},
    ),
    "no pipeline": lambda: (model(), {"lr": LR}),
}


@pytest.mark.parametrize("case", PIPELINES)
def test_any_pipeline_and_table(case):
    assert how(both(*PIPELINES[case]())) == {"stacked"}


def test_steps_that_are_cached_on_disk(tmp_path):
    cached = Pipeline([("scale", StandardScaler()), ("net", model())], memory=str(tmp_path))
    assert how(both(cached, {"scale__with_mean": [True, False], "net__lr": LR})) == {"stacked"}


ALONE = {
    "other estimator": lambda: (
        make_pipeline(StandardScaler(), LogisticRegression()),
        {"logisticregression__C": [0.1, 1.0]},
    ),
    "no pipeline": lambda: (LogisticRegression(), {"C": [0.1, 1.0]}),
    "pipeline at the end": lambda: (
        make_pipeline(StandardScaler(), make_pipeline(StandardScaler(), model())),
        {"pipeline__transferclassifier__lr": LR},
    ),
}


@pytest.mark.parametrize("case", ALONE)
def test_other_estimators_are_searched_as_usual(case):
    assert how(both(*ALONE[case]())) == {"alone"}


@pytest.mark.parametrize(
    "candidates",
    [
        {"transferclassifier": [model(), LogisticRegression()]},
        {"steps": [[("scale", MinMaxScaler()), ("net", model())], [("other", LogisticRegression())]]},
    ],
    ids=["last step", "all steps"],
)
def test_steps_may_be_candidates_themselves(candidates):
    assert both(pipeline(), candidates).cv_results_["how"].tolist() == ["stacked", "alone"]


def test_a_randomised_search_draws_the_candidates_of_scikit_learns():
    options = {"n_iter": 4, "random_state": 3}
    search = both(
        pipeline(),
        grid(lr=[0.001, 0.01, 0.1, 0.2], class_weight=[None, "balanced"]),
        searches=(
            lambda *args, **kw: BatchedRandomizedSearchCV(*args, **options, **kw),
            lambda *args, **kw: RandomizedSearchCV(*args, **options, **kw),
        ),
    )
    assert how(search) == {"stacked"}
    assert len(search.cv_results_["params"]) == 4


def test_untrained_networks_without_a_random_state_are_all_different():
    search = BatchedGridSearchCV(pipeline(SMALL, random_state=None), grid(max_epochs=[1, 1, 1]), cv=2)
    log_losses = search.set_params(scoring="neg_log_loss").fit(X, Y).cv_results_["mean_test_score"]
    assert how(search) == {"stacked"}
    assert len(set(log_losses)) == 3


def test_the_global_random_state_is_drawn_from_in_the_same_order():
    scores = []
    for kind in (GridSearchCV, BatchedGridSearchCV):
        np.random.seed(7)
        search = kind(pipeline(SMALL, random_state=None), grid(lr=LR), cv=2, refit=False, scoring="neg_log_loss")
        with computing_in(np.float64):
            scores.append(search.fit(X, Y).cv_results_["mean_test_score"])
    np.testing.assert_allclose(*scores, rtol=1e-9)


def test_in_float32_it_differs_by_no_more_than_float32_does():
    def scores(kind, number_format):
        search = kind(pipeline(strategy=FineTuning()), grid(lr=LR), cv=3, scoring="neg_log_loss", refit=False)
        with computing_in(number_format):
            results = search.fit(X, Y).cv_results_
        return np.array([results[f"split{s}_test_score"] for s in range(3)])

    exact, plain = scores(GridSearchCV, np.float64), scores(GridSearchCV, np.float32)
    batched = scores(BatchedGridSearchCV, np.float32)
    assert 0 < abs(batched - exact).max() < 3 * abs(plain - exact).max() < 0.1
