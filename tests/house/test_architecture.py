"""The house rules that can be read off the source: floors, one door to skorch, files and functions of readable size."""

import ast
import functools
import io
import tokenize
from pathlib import Path

import pytest

import sktransfer

PACKAGE = Path(__file__).parents[2] / "sktransfer"
FILES = {
    path.relative_to(PACKAGE).as_posix().removesuffix(".py"): path
    for path in sorted(PACKAGE.rglob("*.py"))
    if path.name != "__init__.py"
}
FACES = sorted(PACKAGE.glob("*/__init__.py"))

# A folder may import folders on lower floors; folders on one floor do not know each other.
FLOORS = {
    "monitoring": 10,
    "evaluation": 9,
    "model_selection": 8,
    "io": 8,
    "estimators": 7,
    "training": 6,
    "inference": 6,
    "convert": 6,
    "backbones": 5,
    "preprocessing": 4,
    "adaptation": 4,
    "validation": 3,
    "detection": 2,
    "strategies": 2,
    "networks": 2,
    "windows": 2,
    "utils": 1,
    "solvers": 1,
    "datasets": 1,
}
GROUND = "exceptions"  # one file, which every folder may import


@functools.cache
def imports(path):
    """Modules that a file imports anywhere, in functions too: absolute dotted names."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} imports relatively"
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def arrows():
    """Pairs of files of this package, the first of which imports the second."""
    for name, path in FILES.items():
        for imported in imports(path):
            inner = imported.removeprefix("sktransfer.").replace(".", "/")
            if imported.startswith("sktransfer.") and inner in FILES:
                yield name, inner


def room(name):
    return name.split("/")[0]


def test_every_folder_has_a_floor_and_every_file_a_folder():
    assert {room(name) for name in FILES} == set(FLOORS) | {GROUND}
    assert {path.parent.name for path in FACES} == set(FLOORS)
    assert all(name == GROUND or name.count("/") == 1 for name in FILES)


def test_arrows_between_folders_point_down():
    wrong = [
        f"{a} (floor {FLOORS[room(a)]}) -> {b} (floor {FLOORS[room(b)]})"
        for a, b in arrows()
        if room(a) != room(b) and room(b) != GROUND and FLOORS[room(a)] <= FLOORS[room(b)]
    ]
    assert wrong == []
    assert not [b for a, b in arrows() if a == GROUND]


def test_arrows_make_no_circle():
    below = {name: {b for a, b in arrows() if a == name} for name in FILES}
    while below:
        free = [name for name, needed in below.items() if not needed & set(below)]
        assert free, f"these import each other: {sorted(below)}"
        below = {name: needed for name, needed in below.items() if name not in free}


@pytest.mark.parametrize("face", FACES, ids=lambda path: path.parent.name)
def test_the_face_of_a_folder_says_what_it_holds_and_imports_nothing(face):
    tree = ast.parse(face.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree)
    assert len(tree.body) == 1


def test_only_one_file_knows_skorch():
    doors = [name for name, path in FILES.items() if any(i.split(".")[0] == "skorch" for i in imports(path))]
    assert doors == ["training/skorch_net"]


def code_lines(text):
    """Number of lines that hold code: neither blank, nor a comment, nor part of a docstring."""
    tree = ast.parse(text)
    holders = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    documentation = set()
    for node in ast.walk(tree):
        if isinstance(node, holders) and ast.get_docstring(node, clean=False) is not None:
            documentation |= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    skipped = {
        tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER,
    }  # fmt: skip
    lines = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in skipped:
            lines |= set(range(token.start[0], token.end[0] + 1))
    return len(lines - documentation)


def test_code_lines_leave_out_documentation_comments_and_blank_lines():
    assert (
        code_lines('"""Module.\n\nMore.\n"""\n\n# why\nx = """a\nb"""  # two lines\n\n\ndef f():\n    """Doc."""\n')
        == 3
    )


@pytest.mark.parametrize("name", FILES)
def test_files_neither_assert_nor_print_and_hold_at_most_250_lines_of_code(name):
    text = FILES[name].read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert not [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Assert)]
    printed = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and getattr(n.func, "id", None) == "print"]
    assert not printed
    assert code_lines(text) <= 250
    assert "TODO" not in text


@pytest.mark.parametrize("name", FILES)
def test_functions_fit_on_a_screen_and_classes_in_a_head(name):
    tree = ast.parse(FILES[name].read_text(encoding="utf-8"))
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
