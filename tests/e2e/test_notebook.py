"""The notebook, executed on tiny with few images."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

import unblind

pytestmark = pytest.mark.slow

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "finetune_paligemma2.ipynb"


def test_it_is_short_and_says_how_to_switch_to_the_real_model() -> None:
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    assert len(cells) <= 25
    assert max(len(cell.source.splitlines()) for cell in cells) <= 20
    assert 'or "google/paligemma2-3b-pt-224"' in cells[1].source


def test_it_uses_public_names_alone() -> None:
    code = "\n".join(cell.source for cell in nbformat.read(NOTEBOOK, as_version=4).cells)
    named = re.findall(r"^\s*(?:from|import) (unblind\S*)(?: import (.*))?$", code, re.MULTILINE)
    assert named and all(module == "unblind" for module, _ in named)
    assert set(", ".join(names for _, names in named).split(", ")) <= set(unblind.__all__)


@pytest.mark.timeout(900)  # half a minute of CPU, on a machine that may be busy
def test_it_runs_from_top_to_bottom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNBLIND_IMAGES", "40")
    monkeypatch.setenv("UNBLIND_OUT", str(tmp_path / "run"))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(
        notebook, timeout=800, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    ).execute()

    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    text = "".join(output.get("text", "") for output in outputs if output.output_type == "stream")
    assert text.count("restricted") == 2  # blind, and after
    assert "369,664 parameters trained" in text
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(pictures) == 4
    assert (tmp_path / "run" / "run" / "adapter" / "adapter_model.safetensors").exists()
