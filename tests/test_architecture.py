"""The house rules that can be read off the source: floors, one door to skorch, short modules and functions."""

import ast
import functools
from pathlib import Path

import pytest

import sktransfer

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "sktransfer"
MODULES = {path.stem: path for path in sorted(PACKAGE.glob("*.py")) if path.stem != "__init__"}

# Arrows point down. Modules on one floor do not know each other, except along SIDEWAYS.
FLOORS = {
    6: {"classifier", "regressor", "search", "_candidates", "_folds", "_lanes", "_stand_in", "pipeline"},
    5: {"_fitting", "_training", "_assembly", "_together", "_lockstep", "_pulls", "_workers"},
    4: {"_net", "_tasks", "_features", "_plan", "_raw", "_stacked"},
    3: {
        "module", "extractor", "persistence", "from_scratch", "_persisted", "_predictor", "_range", "_columns",
        "_inputs", "foreign", "keras_models", "_old_head",
    },
    2: {
        "backbone", "scaling", "fine_tuning", "probing", "probe_then_tune", "gradual", "layer_decay", "l2sp",
        "weight_decay", "windows", "lagged", "window_scaling",
        "augmentation", "_augmenting",
    },
    1: {
        "strategy", "head", "networks", "card", "mlp", "cnn", "exceptions", "_validation", "_parameters", "_quality",
        "_random", "_threads", "_state", "_rows", "_solver", "_device", "_callbacks", "_blocks",
        "_precision", "_layers", "_lean", "_head_modules", "_adamw", "_dropout", "_labels",
        "_reduced", "_curvature", "_calibration", "_ridge", "_tally", "window_array", "_window_checks",
        "_spectra", "_fault_lines", "envelope", "bearing", "front_end", "process_net", "vibration_net",
        "_window_quality", "_baseline", "_tables", "_recordings", "_resampling", "_cutting",
        "_keras_layers", "_keras_network", "_tracing", "_chain",
    },
}  # fmt: skip
SIDEWAYS = {
    ("probe_then_tune", "probing"),
    ("augmentation", "_augmenting"),
    ("_fitting", "_training"),
    ("_training", "_assembly"),
    ("_together", "_assembly"),
    ("_together", "_training"),
    ("_together", "_lockstep"),
    ("_workers", "_together"),
    ("_lockstep", "_pulls"),
    ("search", "_candidates"),
    ("search", "_stand_in"),
    ("search", "pipeline"),
    ("_stand_in", "_candidates"),
    ("_stand_in", "_folds"),
    ("search", "_folds"),
    ("_candidates", "_folds"),
    ("_candidates", "_lanes"),
    ("_lanes", "_folds"),
    ("_lanes", "classifier"),
    ("_lanes", "regressor"),
    ("_net", "_features"),
    ("_net", "_plan"),
    ("_plan", "_raw"),
    ("_validation", "_precision"),
    ("extractor", "from_scratch"),
    ("extractor", "_columns"),
    ("extractor", "_inputs"),
    ("_inputs", "_columns"),
    ("_inputs", "from_scratch"),
    ("_inputs", "persistence"),
    ("_window_checks", "_quality"),
    ("_window_checks", "_validation"),
    ("_window_checks", "exceptions"),
    ("_window_checks", "window_array"),
    ("extractor", "module"),
    ("from_scratch", "persistence"),
    ("_persisted", "_predictor"),
    ("_persisted", "module"),
    ("_predictor", "_range"),
    ("_predictor", "module"),
    ("_lean", "_layers"),
    ("head", "_head_modules"),
    ("head", "_layers"),
    ("_blocks", "_layers"),
    ("_blocks", "mlp"),
    ("mlp", "networks"),
    ("_blocks", "cnn"),
    ("cnn", "networks"),
    ("cnn", "_chain"),
    ("mlp", "_chain"),
    ("cnn", "_parameters"),
    ("_state", "exceptions"),
    ("_solver", "_curvature"),
    ("_solver", "_reduced"),
    ("_solver", "_calibration"),
    ("_ridge", "_reduced"),
    ("_ridge", "_calibration"),
    ("_quality", "_tally"),
    ("_quality", "exceptions"),
    ("_validation", "exceptions"),
    ("_validation", "_quality"),
    ("_device", "_parameters"),
    ("head", "_parameters"),
    ("mlp", "_parameters"),
    ("strategy", "_parameters"),
    ("strategy", "_random"),
    ("_blocks", "_state"),
    ("_keras_layers", "networks"),
    ("_keras_network", "_blocks"),
    ("_keras_network", "_keras_layers"),
    ("_keras_network", "card"),
    ("_tracing", "_blocks"),
    ("_tracing", "card"),
    ("_old_head", "module"),
    ("foreign", "_old_head"),
    ("keras_models", "_old_head"),
    ("_blocks", "card"),
    ("_blocks", "cnn"),
    ("_blocks", "process_net"),
    ("_blocks", "vibration_net"),
    ("process_net", "networks"),
    ("vibration_net", "networks"),
    ("envelope", "_spectra"),
    ("envelope", "_fault_lines"),
    ("_fault_lines", "_spectra"),
    ("envelope", "_tally"),
    ("envelope", "_window_checks"),
    ("envelope", "exceptions"),
    ("bearing", "_parameters"),
    ("front_end", "envelope"),
    ("_blocks", "exceptions"),
    ("_blocks", "networks"),
    ("_window_quality", "_quality"),
    ("_window_quality", "_tally"),
    ("_window_quality", "exceptions"),
    ("_baseline", "_quality"),
    ("_baseline", "_window_quality"),
    ("_baseline", "exceptions"),
    ("_recordings", "_tables"),
    ("_recordings", "_parameters"),
    ("_cutting", "_tables"),
    ("_resampling", "_recordings"),
    ("_cutting", "_resampling"),
}
FLOOR_OF = {name: floor for floor, names in FLOORS.items() for name in names}


@functools.cache
def imports(path):
    """Modules that a file imports anywhere, in functions too; names of this package without their prefix."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} imports relatively"
            whole = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= whole if node.module == "sktransfer" else {node.module}
    return found


def arrows():
    """Pairs of modules of this package, the first of which imports the second."""
    for name, path in MODULES.items():
        for imported in imports(path):
            if imported.startswith("sktransfer."):
                yield name, imported.split(".")[1]


def test_every_module_has_a_floor_and_every_floor_its_modules():
    assert set(FLOOR_OF) == set(MODULES)
    assert sum(len(names) for names in FLOORS.values()) == len(FLOOR_OF)


def test_arrows_point_down():
    wrong = [
        f"{a} (floor {FLOOR_OF[a]}) -> {b} (floor {FLOOR_OF[b]})"
        for a, b in arrows()
        if b in MODULES and FLOOR_OF[a] <= FLOOR_OF[b] and (a, b) not in SIDEWAYS
    ]
    assert wrong == []


def test_arrows_on_one_floor_are_those_in_the_table():
    same = {(a, b) for a, b in arrows() if b in MODULES and FLOOR_OF[a] == FLOOR_OF[b]}
    assert same <= SIDEWAYS
    assert not any((b, a) in SIDEWAYS for a, b in SIDEWAYS)


def test_arrows_make_no_circle():
    below = {name: {b for a, b in arrows() if a == name and b in MODULES} for name in MODULES}
    while below:
        free = [name for name, needed in below.items() if not needed & set(below)]
        assert free, f"these import each other: {sorted(below)}"
        below = {name: needed for name, needed in below.items() if name not in free}


def test_only_one_module_knows_skorch():
    assert [name for name, path in MODULES.items() if any(i.split(".")[0] == "skorch" for i in imports(path))] == [
        "_net"
    ]


@pytest.mark.parametrize("name", MODULES)
def test_modules_neither_assert_nor_print_and_stay_short(name):
    text = MODULES[name].read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert not [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Assert)]
    printed = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and getattr(n.func, "id", None) == "print"]
    assert len(printed) == (name == "_net")
    assert all("noqa: T201" in text.splitlines()[node.lineno - 1] for node in printed)
    assert len(text.splitlines()) <= 300
    assert "TODO" not in text


@pytest.mark.parametrize("name", MODULES)
def test_functions_fit_on_a_screen_and_classes_in_a_head(name):
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            documented = isinstance(node.body[0], ast.Expr) and isinstance(node.body[0].value, ast.Constant)
            first = node.body[min(1, len(node.body) - 1) if documented else 0].lineno
            assert node.end_lineno - first < 40, f"{name}.{node.name} has {node.end_lineno - first + 1} lines"
        elif isinstance(node, ast.ClassDef):
            public = [n for n in node.body if isinstance(n, ast.FunctionDef) and not n.name.startswith("_")]
            assert len(public) <= 12, f"{name}.{node.name} has {len(public)} public methods"


def test_estimators_have_at_most_twelve_parameters():
    transformers = ("FeatureExtractor", "BaselineScaler", "WindowScaler", "LaggedWindows", "EnvelopeSpectra")
    for name in ("TransferClassifier", "TransferRegressor", *transformers):
        assert len(getattr(sktransfer, name)().get_params(deep=False)) <= 12
