"""Uploading an adapter, a merged model or a dataset to the Hugging Face Hub, by what is in it. No torch."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Literal

from httpx2 import HTTPError
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, constants, get_token
from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError
from huggingface_hub.utils import disable_progress_bars, validate_repo_id  # type: ignore[attr-defined]

from unblind.data.dataset_card import published_card
from unblind.data.sources import find
from unblind.errors import HubError, ModelError, NoDatasetError
from unblind.models.adapter_files import CONFIG, WEIGHTS, AdapterFiles, adapter_folder, read_adapter
from unblind.models.base_digest import BASE
from unblind.models.embedded import EMBEDDED
from unblind.runtime.hub_errors import writing_advice
from unblind.runtime.versions import versions
from unblind.sharing.hub_results import eval_results, found_results, read_results
from unblind.sharing.model_card import model_card
from unblind.sharing.origin import Origin, is_local, read_origin

Contents = Literal["adapter", "model", "dataset"]
CARD = "README.md"


@dataclass(frozen=True)
class Upload:
    """What goes to a repository: what it is, and the files by their paths there."""

    contents: Contents
    files: dict[str, Path | bytes]

    @property
    def repo_type(self) -> str:
        """As the hub calls it."""
        return "dataset" if self.contents == "dataset" else "model"


def prepare(folder: Path, repo: str, *, results: Sequence[Path] = (), dataset: str | None = None) -> Upload:
    """Choose the files of a folder and write its card; nothing is sent.

    Hidden files, and what a run keeps for itself (checkpoints, settings with local paths), stay here.

    Args:
        folder: a run folder, an adapter, a merged checkpoint, or a dataset.
        repo: USER/NAME on the hub.
        results: evaluation folders of the model; by default those of the quickstart that it belongs to.
        dataset: the id on the hub of the data that was evaluated on.

    Raises:
        HubError: `repo` is no id, or the folder is none of these.
        ModelError, DatasetError: something in the folder is incomplete, or results are of another model.
    """
    _check_id(repo)
    contents = contents_of(folder)
    if contents == "dataset":
        if results or dataset:
            raise HubError(f"{folder} is a dataset; --results and --dataset belong to a model")
        return Upload(contents, _files(folder) | {CARD: published_card(folder, repo).encode()})
    adapter = read_adapter(folder) if contents == "adapter" else None  # before anything asks the hub
    origin = read_origin(folder)
    before, after = read_results(results or found_results(folder), folder, origin, dataset)
    if adapter:
        files: dict[str, Path | bytes] = {
            CONFIG: _adapter_config(adapter, origin),
            WEIGHTS: adapter.folder / WEIGHTS,
        }
        if (adapter.folder / BASE).is_file():
            files[BASE] = adapter.folder / BASE
    else:
        files = _files(folder)
    files[CARD] = str(model_card(contents, repo, folder, origin, before, after)).encode()
    scores = eval_results(after, f"{constants.ENDPOINT}/{repo}")
    return Upload(contents, files | {path: text.encode() for path, text in scores.items()})


def contents_of(folder: Path) -> Contents:
    """What a folder holds. Raises HubError, or DatasetError for a dataset that is not complete."""
    if not folder.is_dir():
        raise HubError(f"{folder} is no folder; name a run, an adapter, a merged model or a dataset")
    if adapter_folder(folder):
        return "adapter"
    if (folder / "config.json").is_file():
        if not any(folder.glob("*.safetensors")):
            raise ModelError(f"{folder} is no complete checkpoint: no safetensors; export it again")
        return "model"
    if adapter_folder(folder / "train"):
        raise HubError(f"{folder} is a whole quickstart; name {folder / 'train'} or {folder / 'data'}")
    if (folder / "predictions.parquet").is_file():
        quoted = quote(str(folder))
        raise HubError(f"{folder} is an evaluation; push its model, with --results {quoted}")
    try:
        find(folder)
    except NoDatasetError:
        names = ", ".join(sorted(path.name for path in folder.iterdir())[:6]) or "nothing"
        raise HubError(
            f"{folder} holds no finished adapter, no checkpoint and no dataset (it holds {names});"
            " name the folder of `unblind train`, `export` or `generate`"
        ) from None
    return "dataset"


def check_target(repo: str) -> None:
    """Raise HubError if `repo` is no id, or nobody is logged in; the hub itself is not asked."""
    _check_id(repo)
    _token()


def _token() -> str:
    token = get_token()
    if token is None:
        raise HubError("no Hugging Face token; run `hf auth login`, or set HF_TOKEN, with one that may write")
    return token


def push(upload: Upload, repo: str, *, private: bool = False) -> str:
    """Send it in one commit, to a new repository or over an older version. Returns its page's address.

    Old `.eval_results/` that are not sent again are removed: they were measured on other weights.

    Raises:
        HubError: no token or a wrong one, not allowed, another kind of repository, public where `private` is
            asked for, refused by the hub, no network.
    """
    token = _token()
    if not sys.stderr.isatty():
        disable_progress_bars()
    api = HfApi(token=token, library_name="unblind", library_version=versions()["unblind"])
    with _talking(repo):
        paths = _existing(api, upload, repo, private)
        if paths is None:
            api.create_repo(repo, repo_type=upload.repo_type, private=private or None)
        stale = [p for p in paths or () if p.startswith(".eval_results/") and p not in upload.files]
        api.create_commit(
            repo,
            [
                *(CommitOperationAdd(path, content) for path, content in sorted(upload.files.items())),
                *(CommitOperationDelete(path) for path in stale),
            ],
            commit_message=f"Upload {upload.contents} by Unblind {versions()['unblind']}",
            repo_type=upload.repo_type,
        )
    return f"{constants.ENDPOINT}/{'datasets/' if upload.contents == 'dataset' else ''}{repo}"


def _existing(api: HfApi, upload: Upload, repo: str, private: bool) -> list[str] | None:
    """The files of the repository, or None if it is still to be made."""
    try:
        info = api.repo_info(repo, repo_type=upload.repo_type)
    except RepositoryNotFoundError:
        for repo_type in {"model", "dataset", "space"} - {upload.repo_type}:
            if api.repo_exists(repo, repo_type=repo_type):
                raise HubError(
                    f"{repo} is a {repo_type} on the hub, and this is a {upload.contents}; name another"
                    " repository"
                ) from None
        return None
    if private and not info.private:
        raise HubError(
            f"{repo} exists and is public; make it private on its settings page, or leave out --private"
        )
    return [file.rfilename for file in getattr(info, "siblings", None) or ()]


@contextmanager
def _talking(repo: str) -> Iterator[None]:
    """Turn what goes wrong with the hub into a line that says what to do."""
    try:
        yield
    except (HTTPError, OSError, ValueError, RuntimeError) as error:
        cause = error.__cause__ if isinstance(error, RuntimeError) and error.__cause__ else error
        raise HubError(writing_advice(cause, repo)) from None


def _check_id(repo: str) -> None:
    try:
        validate_repo_id(repo)
    except HFValidationError:
        repo = ""
    if repo.count("/") != 1:
        raise HubError("the repository is named by USER/NAME, in letters, digits, '-', '_' and '.'")


def _files(folder: Path) -> dict[str, Path | bytes]:
    """The files under a folder, but for hidden ones."""
    paths = {path.relative_to(folder): path for path in sorted(folder.rglob("*")) if path.is_file()}
    return {
        relative.as_posix(): path
        for relative, path in paths.items()
        if not any(part.startswith(".") for part in relative.parts)
    }


def _adapter_config(adapter: AdapterFiles, origin: Origin) -> bytes:
    """Its text; the base's path on this machine would mean nothing elsewhere."""
    local = origin.base in EMBEDDED or is_local(origin.base, adapter.folder)
    config = {**adapter.config, "base_model_name_or_path": None if local else origin.base}
    return json.dumps(config, indent=2).encode()
