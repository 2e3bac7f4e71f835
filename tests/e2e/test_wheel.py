"""The wheel, installed into an empty environment, has all that it needs: model, recipes, templates, fonts."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest

from unblind.runtime.versions import DISTRIBUTION

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow

Installed = Callable[..., str]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Run a command of the wheel, in an environment that borrows the libraries of this one."""
    folder = tmp_path_factory.mktemp("wheel")
    # only what is set here: no PYTHONPATH that leads to the checkout
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    environment |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}

    def run(program: Path | str, *arguments: object, cwd: Path = folder) -> str:
        line = [str(program), *map(str, arguments)]
        done = subprocess.run(line, cwd=cwd, env=environment, capture_output=True, text=True, timeout=280)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=ROOT)
    run(sys.executable, "-m", "venv", "--without-pip", folder / "venv")
    python = folder / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
    (wheel,) = folder.glob("*.whl")
    pip = [sys.executable, "-m", "pip", "--python", python]
    run(*pip, "install", "--quiet", "--no-deps", "--no-index", wheel)
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    # behind its own packages; the .pth files there, like that of an editable install, are not followed
    libraries = Path(run(python, "-c", code).strip(), "libraries.pth")
    paths = dict.fromkeys([sysconfig.get_path("purelib"), *sys.path])
    lent = [path for path in paths if path.endswith(("site-packages", "dist-packages"))]
    libraries.write_text("\n".join(lent))

    def call(name: str, *arguments: object) -> str:
        return run(python.with_name(name), *arguments)

    return call


def test_the_wheel_is_ours(installed: Installed) -> None:
    assert installed("unblind", "--version").strip() == version(DISTRIBUTION)
    where = installed("python", "-c", "import unblind; print(unblind.__file__)")
    assert "site-packages" in where and str(ROOT) not in where
    name = "from importlib.metadata import packages_distributions as p; print(*set(p()['unblind']))"
    assert installed("python", "-c", name).split() == [DISTRIBUTION]


def test_it_draws_trains_and_reports_by_what_comes_along(installed: Installed) -> None:
    assert "can run   unblind quickstart" in installed("unblind", "doctor")
    sizes = ["--train", 16, "--validation", 8, "--test", 8]
    said = installed("unblind", "quickstart", "--out", "out", *sizes)
    assert "after fine-tuning" in said and "report.html" in said


def test_its_recipes_and_tasks_are_found(installed: Installed) -> None:
    code = """
from unblind.recipe import PretrainOptions, load_recipe
from unblind.tasks.registry import task_named, task_names
print(load_recipe("tiny")["rank"], load_recipe("tiny-base", PretrainOptions)["polish_steps"])
print(*(task_named(name).name for name in task_names()))
"""
    numbers, names = installed("python", "-c", code).splitlines()
    assert all(int(number) > 0 for number in numbers.split()) and "circled-letter" in names
    code = "from inspect_ai._util.registry import registry_lookup as find;"
    code += "print(find('task', 'unblind/circled_letter'))"
    assert "circled_letter" in installed("python", "-c", code)
