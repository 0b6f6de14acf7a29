"""A type checker sees the real classes, and refuses names and parameters that do not exist."""

import re
import sys
from pathlib import Path

import sktransfer
from tests.house.conftest import run

ROOT = Path(__file__).resolve().parents[2]
STUB = ROOT / "sktransfer" / "__init__.pyi"

SCRIPT = """\
import sktransfer
from sktransfer import L2SP, LinearProbing, SlidingWindows, TransferClassifier, load_backbone, make_pipeline

reveal_type(TransferClassifier())
reveal_type(sktransfer.FeatureExtractor())
reveal_type(load_backbone("tep-process"))
reveal_type(LinearProbing() & L2SP(0.1))
reveal_type(make_pipeline())
TransferClassifier(max_epoch=3)
SlidingWindows(lenght=4096)
sktransfer.TransferClasifier
"""
EXPECTED = [
    '4: note: Revealed type is "sktransfer.estimators.transfer_classifier.TransferClassifier"',
    '5: note: Revealed type is "sktransfer.estimators.feature_extractor.FeatureExtractor"',
    '6: note: Revealed type is "sktransfer.backbones.backbone.Backbone"',
    '7: note: Revealed type is "sktransfer.strategies.base.Strategy"',
    '8: note: Revealed type is "sktransfer.estimators.pipeline.Pipeline"',
    '9: error: Unexpected keyword argument "max_epoch" for "TransferClassifier"; did you mean "max_epochs"?',
    '10: error: Unexpected keyword argument "lenght" for "SlidingWindows"; did you mean "length"?',
    '11: error: Module has no attribute "TransferClasifier"; maybe "TransferClassifier"?',
]
# what has no constructor of its own: scikit-learn's or numpy's is used, or there are no parameters
INHERITED = {
    "Alignment",
    "BatchedGridSearchCV",
    "BatchedRandomizedSearchCV",
    "EnvelopeSpectra",
    "HealthyStatistic",
    "HotellingT2",
    "Pipeline",
    "Strategy",
    "Windows",
}


def check(python, folder, script):
    """What mypy says about `script` in a folder of its own, where the package is installed.

    Nothing else is installed there: reading torch's types takes half a minute and changes no line.
    """
    (folder / "user.py").write_text(script, encoding="utf-8")
    flags = ("--python-executable", python, "--cache-dir", folder / "cache", "--no-error-summary", "--hide-error-codes")
    code = "import sys; from mypy.api import run; print(run(sys.argv[1:])[0])"
    said = run(sys.executable, "-c", code, *flags, "user.py", cwd=folder).splitlines()
    return [line.removeprefix("user.py:") for line in said if line and '" defined in "' not in line]


def test_mypy_reveals_the_classes_and_refuses_misspelt_names(installed_python, tmp_path):
    public = {name: getattr(sktransfer, name) for name in sktransfer.__all__}
    classes = [n for n, c in public.items() if isinstance(c, type) and not issubclass(c, Warning | Exception)]
    constructed = [name for name in classes if "__init__" in vars(public[name])]
    assert set(classes) - set(constructed) == INHERITED
    first = SCRIPT.count("\n") + 1
    misspelt = "".join(f"sktransfer.{name}(mispelt=1)\n" for name in constructed)
    refused = [
        f'{number}: error: Unexpected keyword argument "mispelt" for "{name}"'
        for number, name in enumerate(constructed, start=first)
    ]
    assert check(installed_python, tmp_path, SCRIPT + misspelt) == EXPECTED + refused


def test_the_stub_names_what_is_public_in_the_same_order():
    lines = re.findall(r"^from sktransfer\.(\S+) import (\w+) as (\w+)$", STUB.read_text(encoding="utf-8"), re.M)
    assert [(name, home) for home, name, _ in lines] == list(sktransfer._HOMES.items())
    assert all(name == alias for _, name, alias in lines)
    assert sktransfer.__all__ == ["__version__", *(name for _, name, _ in lines)]
