"""What GitHub and pre-commit read fits the rest of the repository."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
PINNED = dict(
    line.split("==") for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines() if "==" in line
)


def commands(workflow: Path) -> list[str]:
    """All shell lines of a workflow."""
    jobs = yaml.safe_load(workflow.read_text("utf-8"))["jobs"].values()
    return [
        line for job in jobs for step in job["steps"] if "run" in step for line in step["run"].splitlines()
    ]


def test_there_is_a_workflow() -> None:
    assert WORKFLOWS


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_calls_targets_of_the_makefile_and_commands_of_ours(workflow: Path) -> None:
    from unblind.cli import COMMANDS

    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    lines = commands(workflow)
    assert set(re.findall(r"\bmake (\w+)", "\n".join(lines))) <= targets
    ours = {words[1] for line in lines if (words := line.split())[:1] == ["unblind"]}
    assert ours - {"--version"} <= set(COMMANDS)


def test_the_makefile_and_the_workflow_install_the_same_torch() -> None:
    wanted = set(re.findall(r"torch==[\d.]+", (ROOT / "Makefile").read_text("utf-8")))
    assert len(wanted) == 1
    for workflow in WORKFLOWS:
        assert set(re.findall(r"torch==[\d.]+", workflow.read_text("utf-8"))) <= wanted


@pytest.mark.parametrize("form", FORMS, ids=lambda path: path.stem)
def test_an_issue_form_is_whole(form: Path) -> None:
    read = yaml.safe_load(form.read_text("utf-8"))
    if form.stem == "config":
        assert set(read) == {"blank_issues_enabled"}
        return
    assert {"name", "description", "body"} <= set(read)
    ids = [field["id"] for field in read["body"]]
    assert len(set(ids)) == len(ids)
    assert all(field["attributes"]["label"] for field in read["body"])


def test_pre_commit_runs_the_ruff_that_make_installs() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))["repos"]
    revisions = {repo["repo"].rpartition("/")[2]: repo["rev"] for repo in hooks}
    assert revisions == {"ruff-pre-commit": f"v{PINNED['ruff']}"}
