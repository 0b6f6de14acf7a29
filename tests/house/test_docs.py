"""What is documented is what happens: examples run, defaults and names are those of the signature."""

import ast
import doctest
import importlib
import importlib.util
import inspect
import os
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest

import sktransfer
from tests.house.conftest import run

ROOT = Path(__file__).parents[2]
MODULES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in sorted((ROOT / "sktransfer").rglob("*.py"))
    if path.name != "__init__.py"
]
PUBLIC = [getattr(sktransfer, name) for name in sktransfer.__all__ if name not in ("__version__", "TRUSTED_TYPES")]
DOCUMENTED = [obj for obj in PUBLIC if not (inspect.isclass(obj) and issubclass(obj, Warning | Exception))]
METHODS = [
    getattr(obj, name)
    for obj in DOCUMENTED
    if inspect.isclass(obj)
    for name, member in vars(obj).items()
    if not name.startswith("_") and inspect.isfunction(member)
]


def section(doc, title):
    """Lines of a numpydoc section, without its heading."""
    match = re.search(rf"^{title}\n-+\n(.*?)(?=^\S[^\n]*\n-{{3,}}\n|\Z)", inspect.cleandoc(doc or ""), re.M | re.S)
    return None if match is None else match[1]


def documented(obj):
    """Pairs of name and type of the section Parameters, in order; None if there is no such section."""
    text = section(obj.__doc__, "Parameters")
    if text is None:
        return None
    heads = re.findall(r"^(\*{0,2}\w[\w, *]*?)(?: : (.*))?$", text, re.M)
    return [(name.strip(" *"), kind) for names, kind in heads for name in names.split(",")]


def parameters(obj):
    return {
        name: p.default
        for name, p in inspect.signature(obj).parameters.items()
        if name not in ("self", "cls") and p.kind is not p.VAR_KEYWORD
    }


def name_of(obj):
    return obj.__qualname__


@pytest.mark.parametrize("module", MODULES)
def test_examples_in_docstrings_run(module):
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    found = doctest.testmod(importlib.import_module(module), optionflags=flags, verbose=False)
    assert found.failed == 0


def test_most_public_names_show_an_example():
    without = [name_of(obj) for obj in DOCUMENTED if section(obj.__doc__, "Examples") is None]
    assert set(without) <= {"Inputs", "Source", "load_backbone", "FineTuning", "LinearHead"}


@pytest.mark.parametrize("obj", DOCUMENTED, ids=name_of)
def test_public_objects_document_every_parameter_in_order(obj):
    names = list(parameters(obj)) if not inspect.isclass(obj) or obj.__init__ is not object.__init__ else []
    assert [name for name, _ in documented(obj) or []] == names


@pytest.mark.parametrize("method", METHODS, ids=name_of)
def test_methods_document_their_parameters_in_order_where_they_document_any(method):
    found = documented(method)
    if found is not None:
        assert [name for name, _ in found] == list(parameters(method))
    assert method.__doc__


@pytest.mark.parametrize("obj", DOCUMENTED, ids=name_of)
def test_documented_defaults_are_those_of_the_signature(obj):
    defaults = parameters(obj)
    for name, kind in documented(obj) or []:
        default = defaults[name]
        stated = re.search(r"default=(.+)$", kind)
        if stated:
            named = {"nan": float("nan"), "TRUSTED_TYPES": sktransfer.TRUSTED_TYPES}
            value = named[stated[1]] if stated[1] in named else ast.literal_eval(stated[1])
            assert repr(value) == repr(default), f"{name} says default={stated[1]}, the default is {default!r}"
        elif "optional" in kind:
            assert default is None, f"{name} is optional, but its default is {default!r}"
        elif default is not inspect.Parameter.empty:
            assert default is None, f"{name} does not state its default {default!r}"
            assert "None" in kind, f"{name} may be None, but its type {kind!r} does not say so"
        assert stated is None or default is not inspect.Parameter.empty


ESTIMATORS = {
    "TransferClassifier": lambda: sktransfer.TransferClassifier(max_epochs=1),
    "TransferRegressor": lambda: sktransfer.TransferRegressor(max_epochs=1),
    "FeatureExtractor": lambda: sktransfer.FeatureExtractor(),
    "BaselineScaler": lambda: sktransfer.BaselineScaler(),
    "WindowScaler": lambda: sktransfer.WindowScaler(),
    "LaggedWindows": lambda: sktransfer.LaggedWindows(),
}


@pytest.mark.parametrize("kind", ["rows", "windows"])
@pytest.mark.parametrize("name", ESTIMATORS)
def test_attributes_of_estimators_are_there_after_a_fit(name, kind):
    if (name, kind) == ("LaggedWindows", "windows"):
        pytest.skip("LaggedWindows takes rows and makes windows")
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 3)) if kind == "rows" else rng.normal(size=(30, 2, 16)).astype(np.float32)
    X = X if kind == "rows" else sktransfer.Windows.of(X, sampling_rate=100, channels=["flow", "level"])
    y = np.resize(["a", "b"], 30) if name == "TransferClassifier" else rng.normal(size=30)
    estimator = ESTIMATORS[name]().fit(X, y)
    text = section(type(estimator).__doc__, "Attributes")
    names = {n.strip() for names in re.findall(r"^(\w[\w, ]*?) : ", text, re.M) for n in names.split(",")}
    of_some_inputs = {"feature_names_in_", "channel_names_in_", "column_names_in_", "window_fields_"}
    assert names - of_some_inputs <= set(dir(estimator))
    # and nothing public is left undocumented, except what serves predict alone
    public = {n for n in vars(estimator) if n.endswith("_") and not n.startswith("_")}
    assert public - names <= {"module_", "y_center_", "y_scale_", "y_was_2d_"}


PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
README = PAGES[0]


def blocks(page):
    """Pairs of need and code of the page's python blocks; ``<!-- needs ... -->`` above a block says what it needs."""
    text = page.read_text(encoding="utf-8")
    found = re.findall(r"(?:^<!-- needs ([^\n]*) -->\n)?^```python\n(.*?)^```", text, re.M | re.S)
    return [(need or None, code) for need, code in found]


PAGES_WITH_BLOCKS = [page for page in PAGES if blocks(page)]


def has_keras():
    return all(importlib.util.find_spec(name) for name in ("keras", "h5py"))


def has_onnx():
    return all(importlib.util.find_spec(name) for name in ("onnx", "skl2onnx", "onnxruntime"))


NEEDS = {
    "the source tree": lambda: True,
    "keras and your file": has_keras,
    "skl2onnx and onnxruntime": has_onnx,
}


def write_keras_file(path):
    """A small network of windows of one channel, as the page takes it for granted."""
    from sktransfer.convert.from_keras import _import_keras

    keras = _import_keras()
    layers = [
        keras.layers.Input((None, 1)),
        keras.layers.Conv1D(8, 64, strides=16, activation="relu"),
        keras.layers.Conv1D(16, 9, strides=4, activation="relu"),
        keras.layers.GlobalAveragePooling1D(),
        keras.layers.Dense(32, activation="relu"),
        keras.layers.Dense(1, activation="sigmoid"),
    ]
    keras.Sequential(layers).save(path)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # keras's own
@pytest.mark.parametrize("page", PAGES_WITH_BLOCKS, ids=lambda page: page.stem)
def test_the_blocks_of_a_page_run_from_top_to_bottom(page, tmp_path, monkeypatch, repository_root_importable):
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "__main__"}
    for number, (need, block) in enumerate(blocks(page), start=1):
        if need == "keras and your file" and has_keras():
            write_keras_file(tmp_path / "pretrained_fault_detection_model.h5")
        if need is None or NEEDS[need]():
            exec(compile(block, f"{page.name}, block {number}", "exec"), namespace)
    if page == README:
        assert namespace["scores"] == pytest.approx(printed_scores(page), abs=0.02)  # another BLAS rounds otherwise
    if page.stem == "windows":
        assert namespace["scores"].mean() > 0.5  # four kinds of windows, of machines that the fit did not see


def printed_scores(page):
    """The figures in the comment behind the README's example."""
    transfer, scratch = re.search(r"# accuracy: transfer ([\d.]+), .* from scratch ([\d.]+)", page.read_text()).groups()
    return {"transfer": float(transfer), "from scratch": float(scratch)}


@pytest.mark.parametrize("need", NEEDS)
def test_what_blocks_need_is_there(need):
    assert need in [found for page in PAGES for found, _ in blocks(page)], f"no block needs {need} any more"
    if not NEEDS[need]():
        pytest.skip(f"blocks that need {need} were not run")


@pytest.mark.parametrize("page", PAGES_WITH_BLOCKS, ids=lambda page: page.stem)
def test_blocks_that_need_more_than_the_package_say_so(page):
    for need, block in blocks(page):
        assert need is None or need in NEEDS
        if need is None:
            imported = {name.split(".")[0] for name in re.findall(r"^\s*(?:from|import) (\S+)", block, re.M)}
            assert not imported & {"datasets", "examples", "benchmarks", "keras"}


@pytest.mark.slow
def test_the_readme_runs_from_an_installed_wheel_in_an_empty_folder(installed_python, borrow_dependencies, tmp_path):
    needs, codes = zip(*blocks(README), strict=True)
    assert set(needs) == {None}
    where = "import sktransfer; print('installed at', sktransfer.__file__)"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")} | {"OMP_NUM_THREADS": "1"}
    code = "\n".join([borrow_dependencies, where, *codes])
    printed = run(installed_python, "-c", code, cwd=tmp_path, env=environment)
    assert f"installed at {installed_python.parents[1]}" in printed
    assert "from scratch" in printed


def test_the_wheel_holds_networks_data_cards_and_types(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    package = ROOT / "sktransfer"
    for pattern in ("*.py", "*.pyi", "py.typed", "*.safetensors", "*.md", "*.csv.gz"):
        expected = {path.relative_to(ROOT).as_posix() for path in package.rglob(pattern)}
        assert expected
        assert expected <= names


def test_the_readme_is_two_screens_long():
    text = README.read_text(encoding="utf-8")
    assert len(text.encode()) <= 8192
    assert len(text.splitlines()) <= 120


def anchors(page):
    """Names of a page's headings, as the links of GitHub spell them."""
    heads = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


HIDDEN = (".venv", "build", "generated", "node_modules")  # folders that others fill
LINKING = [
    page
    for page in sorted(ROOT.rglob("*.md"))
    if not any(part.startswith(".") or part in HIDDEN for part in page.relative_to(ROOT).parts)
]


def test_every_page_of_the_project_is_looked_at():
    names = {page.relative_to(ROOT).as_posix() for page in LINKING}
    assert {"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "benchmarks/README.md", "datasets/tep/README.md"} <= names
    assert {f"sktransfer/pretrained/{name}.md" for name in ("process", "tep-process", "vibration")} <= names
    assert len(names) > 60


@pytest.mark.parametrize("page", LINKING, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_of_a_page_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if not link.startswith("http"):
            path, _, anchor = link.partition("#")
            target = (page.parent / path).resolve() if path else page
            assert target.exists(), link
            assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", LINKING, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_files_that_a_page_names_are_there(page):
    folders = "benchmarks|datasets|docs|examples|sktransfer|tests"
    named = re.findall(rf"\b((?:{folders})/[\w./-]+\.(?:py|md|gz|png))\b", page.read_text(encoding="utf-8"))
    recorded = "" if page.parent.name != "pretrained" else str(sktransfer.load_backbone(page.stem).provenance)
    # a card repeats what the header of its file says of the script, which may have moved since
    assert [name for name in named if not (ROOT / name).exists() and name not in recorded] == []


def test_every_shipped_backbone_has_a_card_that_names_its_classes_and_command():
    folder = ROOT / "sktransfer" / "pretrained"
    names = sorted(file.stem for file in folder.glob("*.safetensors"))
    assert names
    for name in names:
        card = (folder / f"{name}.md").read_text(encoding="utf-8")
        backbone = sktransfer.load_backbone(name)
        provenance = backbone.provenance or {}
        assert str(provenance.get("command", "")).removeprefix("python ").split(" ")[0] in card
        assert "BSD-3-Clause" in card
        if name != "tep-process":
            assert [c for c in backbone.source.classes.tolist() if f"`{c}`" not in card] == []


DECISION = ("Decision", "Reason", "What would change it")
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("0*.md"))


@pytest.mark.parametrize("page", DECISIONS, ids=lambda page: page.stem)
def test_a_decision_has_its_five_parts_in_twenty_lines(page):
    text = page.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 20
    parts = (r"# .+", r"Date: \d{4}-\d\d-\d\d\. Status: .+", *(rf"\*\*{part}\.\*\* .+" for part in DECISION))
    assert re.fullmatch(r"\n\n".join(parts) + r"\n", text, re.S)
    index = (page.parent / "README.md").read_text(encoding="utf-8")
    assert f"- [{page.stem[:4]}]({page.name}) {text.splitlines()[0][2:]}" in index


def test_numbers_of_decisions_are_used_once():
    assert [page.stem[:4] for page in DECISIONS] == [f"{number:04d}" for number in range(1, len(DECISIONS) + 1)]
