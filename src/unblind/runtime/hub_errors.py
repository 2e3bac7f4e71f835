"""What went wrong with the Hugging Face Hub, as a line that says what to do. No torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from httpx2 import HTTPError
from huggingface_hub import constants, get_token
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

RepoType = Literal["model", "dataset"]


def reading_advice(error: BaseException, repo: str, repo_type: RepoType) -> str | None:
    """What to do about an error met in reading a repository; None if it is none of the hub's."""
    causes = list(_causes(error))
    if any(isinstance(cause, GatedRepoError) for cause in causes):
        page = f"{constants.ENDPOINT}/{'datasets/' if repo_type == 'dataset' else ''}{repo}"
        return (
            f"{repo} is gated: accept its licence at {page}, then run `hf auth login` with a token of that"
            " account"
        )
    if any(isinstance(cause, RevisionNotFoundError) for cause in causes):
        return f"{repo} has no such revision; name another (--revision)"
    if any(isinstance(cause, RepositoryNotFoundError) for cause in causes):
        return not_found(repo, repo_type)
    status = _status(causes)
    if status is not None:
        return _advice_on_status(status, repo, "read", message_of(error))
    unreachable = (LocalEntryNotFoundError, ConnectionError, HTTPError)
    if any(isinstance(cause, unreachable) or "couldn't connect" in str(cause).lower() for cause in causes):
        return (
            f"{repo}: no such file or folder here, and the hub cannot be reached; check the name, or the"
            " network"
        )
    return None


def writing_advice(error: BaseException, repo: str) -> str:
    """What to do about an error met in writing to a repository."""
    status, message = _status([error]), message_of(error)
    if status is None and not isinstance(error, ValueError):
        return f"{constants.ENDPOINT} cannot be reached ({message}); check the network and push again"
    if status == 404:
        return f"{repo} cannot be made or found ({message}); check the name before the slash"
    advice = None if status is None else _advice_on_status(status, repo, "write to", message)
    return advice or f"the hub does not take it for {repo} ({message}); correct that and push again"


def not_found(repo: str, repo_type: RepoType) -> str:
    """What to say of a name that is nowhere."""
    return (
        f"{repo}: neither a file or folder here, nor a {repo_type} that you may read on the hub; check the"
        " name, and for a private one run `hf auth login`"
    )


def message_of(error: BaseException) -> str:
    """What the hub or a library says of an error, in one short line, and without the token."""
    message = getattr(error, "server_message", None) or str(error) or type(error).__name__
    token = get_token()
    return " ".join((message.replace(token, "***") if token else message).split())[:300]


def _advice_on_status(status: int, repo: str, use: str, message: str) -> str | None:
    if status == 401:
        return (
            f"the hub does not know your token, and {repo} needs one; run `hf auth login` again, or set"
            " HF_TOKEN to a valid one"
        )
    if status == 403:
        return (
            f"your token may not {use} {repo} ({message}); use one that may"
            " (https://huggingface.co/settings/tokens), or name another repository"
        )
    if status >= 500 or status == 429:
        return f"the hub is out of order or busy ({status}: {message}); run the same command again later"
    return None


def _status(causes: list[BaseException]) -> int | None:
    refusals = (cause for cause in causes if isinstance(cause, HfHubHTTPError))
    return next((refusal.response.status_code for refusal in refusals), None)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
