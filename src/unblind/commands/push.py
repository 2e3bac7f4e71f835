"""unblind push."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def push(
    folder: Path,
    repo: str,
    /,
    *,
    private: Annotated[bool, Parameter(negative=())] = False,
    results: tuple[Path, ...] = (),
    dataset: str | None = None,
) -> None:
    """Upload an adapter, a merged model or a dataset to the Hugging Face Hub, with a card.

    Example: `unblind push run USER/NAME --results after --dataset USER/circles --private`

    It needs `hf auth login` or HF_TOKEN, with a token that has write access.

    Args:
        folder: a folder of `unblind train`, `export` or `generate`, recognised by its content.
        repo: USER/NAME. It is created if it does not exist.
        private: create a private repository.
        results: folders of `unblind evaluate` for the card. The command finds those of a quickstart itself.
        dataset: the id of the evaluated data on the hub (push it first). The hub's leaderboards need it.
    """
    from unblind.sharing import upload as sharing

    upload = sharing.prepare(folder, repo, results=results, dataset=dataset)
    page = sharing.push(upload, repo, private=private)
    print(f"{upload.contents} {folder}: {len(upload.files)} files, with a card, at {page}")
    if upload.contents != "dataset" and not any(path.startswith(".eval_results/") for path in upload.files):
        print("No .eval_results: it needs --results, and --dataset with the data's name on the hub.")
