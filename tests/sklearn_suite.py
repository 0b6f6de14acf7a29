"""scikit-learn's own tests with this package's classes in place of scikit-learn's.

::

    sklearn/tests/test_pipeline.py --copied, with other names after its imports--> pytest --> tests that fail
                                                                                                 |
                                                             what is known, each with its reason -+--> no more, no less

``python -m tests.sklearn_suite`` runs all of it; names of suites as arguments run some. The tests of an installed
scikit-learn are part of its wheel. The names are replaced in a copy of the file before pytest collects it, so that
parametrised cases use this package's classes, too.
"""

import argparse
import ast
import importlib.util
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

import sklearn
from sklearn.utils.fixes import parse_version

ROOT = Path(__file__).resolve().parents[1]
NEWEST = (1, 9)  # whose tests the lists below are exact for


@dataclass
class Suite:
    """One file of scikit-learn's tests.

    Parameters
    ----------
    module : str
        Whose file is copied.
    imports : str
        Python source after its imports; gives the names their other meaning.
    names : tuple of str
        Only test functions that use one of them run; all, if empty.
    without : dict of str to tuple of str
        Test functions that use one of these names do not run, by the reason.
    known : dict of str to list of str
        Tests that fail, by the reason. A name without brackets stands for all cases of the function.
    at_least : int
        Tests that must pass: fewer mean that the copy ran nothing.
    """

    module: str
    imports: str
    names: tuple[str, ...] = ()
    without: dict[str, tuple[str, ...]] = field(default_factory=dict)
    known: dict[str, list[str]] = field(default_factory=dict)
    at_least: int = 0

    def explains(self, test: str) -> bool:
        """Whether a failing test is listed."""
        return any(test in names or test.partition("[")[0] in names for names in self.known.values())

    def unneeded(self, failed: set[str]) -> list[str]:
        """Entries of the list that no failing test needs."""
        functions = failed | {test.partition("[")[0] for test in failed}
        return sorted(name for names in self.known.values() for name in names if name not in functions)


SUITES = {
    "pipeline": Suite("sklearn.tests.test_pipeline", "from sktransfer import Pipeline, make_pipeline", at_least=101),
    "search": Suite(
        "sklearn.model_selection.tests.test_search",
        "from sktransfer import BatchedGridSearchCV as GridSearchCV, BatchedRandomizedSearchCV as RandomizedSearchCV",
        known={
            "cv_results_ has one more column, 'how': stacked, solved or alone": [
                "test_grid_search_cv_results",
                "test_random_search_cv_results",
                "test_custom_run_search",
            ],
        },
        at_least=91,
    ),
    "scalers": Suite(
        "sklearn.preprocessing.tests.test_data",
        "from tests.sklearn_stand_ins import RobustScaler, StandardScaler",
        names=("StandardScaler", "RobustScaler"),
        without={
            "healthy rows are few and counted alike: no batches, no weights": ("partial_fit", "sample_weight"),
            "rows of sensors are dense": ("sparse", "csr_container", "sparse_container", "CSR_CONTAINERS"),
            "both centre and scale are learned, by one rule each": (
                "with_std",
                "with_mean",
                "with_centering",
                "with_scaling",
                "quantile_range",
                "unit_variance",
            ),
            "numpy and frames, no array API": ("_array_api_for_tests",),
        },
        known={
            "center_ and scale_ have one row a machine": ["test_standard_scaler_1d"],
            "the interquartile range is divided by 1.349, to equal the standard deviation of a normal distribution": [
                "test_robust_scaler_iris",
                "test_robust_scaler_zero_variance_features",
            ],
            "nothing is scaled back; the stand-in's own line does it, without checks": [
                "test_standard_scaler_raise_error_for_1d_input",
            ],
            "healthy rows are few: no batches": ["test_standard_scaler_callback_support[partial_fit]"],
        },
        at_least=11,
    ),
}


def copy(suite: Suite, folder: Path) -> Path:
    """The suite's file with the other names, in `folder`."""
    origin = Path(importlib.util.find_spec(suite.module).origin)
    tree = ast.parse(origin.read_text(encoding="utf-8"))
    last = max(place for place, node in enumerate(tree.body) if isinstance(node, ast.Import | ast.ImportFrom))
    tree.body[last + 1 : last + 1] = ast.parse(suite.imports).body
    without = {name for names in suite.without.values() for name in names}
    tree.body = [
        node
        for node in tree.body
        if not _is_test(node) or (_names(node) & set(suite.names or _names(node)) and not _names(node) & without)
    ]
    file = folder / origin.name
    file.write_text(ast.unparse(tree), encoding="utf-8")
    return file


def _is_test(node: ast.stmt) -> bool:
    return isinstance(node, ast.FunctionDef) and node.name.startswith("test_")


def _names(node: ast.stmt) -> set[str]:
    """Names, attributes, arguments and keywords of a function and its decorators."""
    found = set()
    for one in ast.walk(node):
        found |= {str(getattr(one, kind)) for kind in ("id", "attr", "arg", "name") if hasattr(one, kind)}
    return found


def run(suite: Suite) -> tuple[int, set[str], str]:
    """Number of tests that passed, those that failed, and what pytest printed."""
    with tempfile.TemporaryDirectory() as folder:
        file, report = copy(suite, Path(folder)), Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", file, "-q", "--tb=short", f"--junitxml={report}", "-W", "ignore"]
        alone = ["-c", os.devnull, "--rootdir", folder, "-p", "no:cacheprovider"]  # none of this project's options
        env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
        env.pop("PYTEST_ADDOPTS", None)
        command = [*map(str, command), *alone]
        done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=env, check=False)
        if not report.is_file():
            raise RuntimeError(f"pytest did not run {suite.module}:\n{done.stdout}\n{done.stderr}")
        cases = list(ElementTree.parse(report).iter("testcase"))
    failed = {case.get("name") for case in cases if case.find("failure") is not None or case.find("error") is not None}
    passed = sum(all(case.find(what) is None for what in ("failure", "error", "skipped")) for case in cases)
    return passed, failed, done.stdout


def is_newest() -> bool:
    """Whether the lists are exact for the scikit-learn that is installed; for others they may be too long."""
    return parse_version(sklearn.__version__).release[:2] == NEWEST


def main(arguments: list[str] | None = None) -> int:
    """Run the suites that are named; 1 if a test fails that is not listed, a listed one passes, or too few ran."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("suites", nargs="*", choices=[*SUITES, []], help="all, if none is named")
    wrong = 0
    for name in parser.parse_args(arguments).suites or SUITES:
        suite = SUITES[name]
        passed, failed, text = run(suite)
        unknown = sorted(test for test in failed if not suite.explains(test))
        passes = suite.unneeded(failed) if is_newest() else []
        print(f"{name}: {passed} passed, {len(failed)} failed; not listed {unknown}; listed and passed {passes}")
        for reason, names in suite.known.items():
            print(f"  {', '.join(names)}: {reason}")
        if unknown:
            print(text)
        if passed < suite.at_least:
            print(f"  at least {suite.at_least} tests must pass")
        wrong += bool(unknown or passes or passed < suite.at_least)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
