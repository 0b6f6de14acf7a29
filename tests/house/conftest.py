"""The package as a user has it: a wheel, installed outside the source tree."""

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(*command, **kwargs):
    """Run a command; its output, or what it said where it failed."""
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=200, **kwargs)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    """Build the wheel from a copy of the sources, because a build leaves folders beside them."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    shutil.copytree(ROOT / "sktransfer", source / "sktransfer", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    offline = ("--no-build-isolation", "--no-deps", "--no-index")
    run(sys.executable, "-m", "pip", "wheel", "-q", *offline, "--wheel-dir", folder, source)
    (file,) = folder.glob("*.whl")
    return file


@pytest.fixture(scope="session")
def installed_python(wheel, tmp_path_factory):
    """The interpreter of an environment that holds the wheel and nothing else, not even what the package needs."""
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", folder)
    python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    site = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    run(sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", site, wheel)
    return python


@pytest.fixture(scope="session")
def borrow_dependencies():
    """Code that lets an interpreter import this environment's packages, after its own and without editable ones."""
    return f"import sys; sys.path.extend({sorted({sysconfig.get_path('purelib'), sysconfig.get_path('platlib')})})"
