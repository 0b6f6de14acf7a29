"""Public names exist, and importing, loading and predicting bring nothing into an interpreter that they do not need."""

import subprocess
import sys
from pathlib import Path

import joblib
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sktransfer
from sktransfer import (
    L2SP,
    Augmentation,
    BatchedGridSearchCV,
    BatchedRandomizedSearchCV,
    FineTuning,
    FromScratch,
    LayerDecay,
    LinearProbing,
    MLPHead,
    TransferClassifier,
    TransferRegressor,
    load_backbone,
    save,
    save_backbone,
)
from tests.helpers import moons, width_free_backbone

ROOT = Path(__file__).parents[2]


def run(code, *arguments):
    """Run in a fresh interpreter, which has imported nothing."""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize("name", sktransfer.__all__)
def test_every_public_name_exists_and_lives_where_the_table_says(name):
    found = getattr(sktransfer, name)
    if name not in ("__version__", "TRUSTED_TYPES"):  # values, which know no module
        assert found.__module__ == f"sktransfer.{sktransfer._HOMES[name]}"
        assert found.__doc__
    assert name in dir(sktransfer)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="TransferClasifier"):
        sktransfer.TransferClasifier  # noqa: B018


def test_importing_the_package_imports_nothing_heavy():
    heavy = "('torch', 'skorch', 'sklearn')"
    code = f"import sys, sktransfer; dir(sktransfer); print(*[m for m in {heavy} if m in sys.modules])"
    assert run(code) == []


def test_a_backbone_file_loads_where_nothing_else_was_imported(tmp_path):
    path = save_backbone(FromScratch(arguments={"hidden_layer_sizes": (4,)}).build(2), tmp_path / "b.safetensors")
    code = "import sys; from sktransfer import load_backbone; print(load_backbone(sys.argv[1]).n_features_out)"
    assert run(code, path) == ["4"]
    pickled = tmp_path / "b.joblib"
    joblib.dump(load_backbone(path), pickled)
    assert run("import sys, joblib; print(joblib.load(sys.argv[1]).n_features_out)", pickled) == ["4"]


# For each stored model its number, a colon, and what is imported after it has predicted.
MODULES_AFTER_PREDICT = """
import sys, joblib
for number, path in enumerate(sys.argv[1:]):
    model, X = joblib.load(path)
    model.predict(X)
    print(f"{number}:" + ",".join(m for m in ("torch", "skorch") if m in sys.modules))
"""


def test_predicting_with_stored_models_needs_neither_torch_nor_skorch(tmp_path):
    """One interpreter for all of them: what one had imported would be found after each that follows."""
    X, y = moons(40)
    tuned = {"max_epochs": 1, "random_state": 0}
    strategies = (None, L2SP(), LayerDecay() & FineTuning(), Augmentation(jitter=0.1))
    cases = [
        make_pipeline(StandardScaler().fit(X), TransferClassifier(head=head, strategy=strategy, **tuned).fit(X, y))
        for head in (None, MLPHead((8,)))
        for strategy in strategies
    ]
    cases.append(TransferRegressor(**tuned).fit(X, X[:, 0]))
    cases.append(BatchedGridSearchCV(TransferClassifier(**tuned), {"lr": [0.01, 0.001]}, cv=2).fit(X, y))
    cases.append(BatchedRandomizedSearchCV(TransferClassifier(**tuned), {"lr": [0.01]}, n_iter=1, cv=2).fit(X, y))
    paths = [tmp_path / f"{number}.joblib" for number in range(len(cases))]
    for path, model in zip(paths, cases, strict=True):
        joblib.dump((model, X), path)
    assert run(MODULES_AFTER_PREDICT, *paths) == [f"{number}:" for number in range(len(cases))]


def test_a_model_file_is_read_and_predicts_without_torch_skorch_and_skops(tmp_path):
    X, y = moons(40)
    model = make_pipeline(StandardScaler(), TransferClassifier(max_epochs=1, random_state=0)).fit(X, y)
    searched = BatchedGridSearchCV(TransferClassifier(max_epochs=1, random_state=0), {"lr": [0.01]}, cv=2).fit(X, y)
    paths = save(model, tmp_path / "model.skops"), save(searched, tmp_path / "search.skops")
    code = (
        "import sys, numpy; from sktransfer import inspect_file, load; "
        "[(inspect_file(path), load(path).predict(numpy.ones((2, 4)))) for path in sys.argv[1:]]; "
        "print(*[m for m in ('torch', 'skorch', 'skops', 'pandas') if m in sys.modules])"
    )
    assert run(code, *paths) in ([], ["pandas"])  # pandas where scikit-learn imports it


def test_backbone_files_and_feature_extractors_need_no_torch_either(tmp_path):
    X, _ = moons(40)
    regressor = TransferRegressor(max_epochs=1, random_state=0).fit(X, X[:, 0])
    code = (
        "import sys, numpy; from sktransfer import FeatureExtractor, load_backbone; "
        "from sktransfer import TransferClassifier, TransferRegressor, BaselineScaler, LinearProbing; "
        "FeatureExtractor(load_backbone(sys.argv[1])).fit(numpy.ones((2, 4))).transform(numpy.ones((2, 4))); "
        "print(*[m for m in ('torch', 'skorch') if m in sys.modules])"
    )
    assert run(code, save_backbone(regressor.backbone_, tmp_path / "b.safetensors")) == []


def test_predicting_with_a_network_of_somebody_else_needs_torch_but_not_skorch(tmp_path):
    X, y = moons(40)
    model = TransferClassifier(width_free_backbone(), strategy=LinearProbing(), random_state=0).fit(X, y)
    joblib.dump((model, X), tmp_path / "model.joblib")
    assert run("import tests.helpers\n" + MODULES_AFTER_PREDICT, tmp_path / "model.joblib") == ["0:torch"]


def test_a_fit_by_epochs_does_not_import_the_compiler_of_torch():
    code = (
        "import sys, numpy; from sktransfer import TransferClassifier; "
        "X = numpy.random.default_rng(0).normal(size=(40, 3)); "
        "TransferClassifier(max_epochs=1).fit(X, X[:, 0] > 0); "
        "print('torch' in sys.modules, 'torch._dynamo' in sys.modules)"
    )
    assert run(code) == ["True", "False"]
