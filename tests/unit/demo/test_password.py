"""A page with a password: whoever does not bring it sees nothing."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest

pytest.importorskip("starlette", reason="Gradio is not installed: pip install -e '.[demo]'")
from starlette.responses import PlainTextResponse

from unblind.demo.password import with_password

PASSWORD = "s\u00e9same: 1"  # with a colon, as the user's name cannot have


def answer(kind: str, *headers: tuple[bytes, bytes]) -> list[Any]:
    """What a request is sent."""
    sent: list[Any] = []

    async def ask() -> None:
        async def receive() -> Any:
            return {"type": "http.request", "body": b""}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": kind, "path": "/", "method": "GET", "headers": headers}
        await with_password(PlainTextResponse("Here."), PASSWORD)(scope, receive, send)

    asyncio.run(ask())
    return sent


def told(text: str) -> tuple[bytes, bytes]:
    return b"authorization", b"Basic " + base64.b64encode(text.encode())


@pytest.mark.parametrize("name", ["ann", "", "\u00e9ric"])
def test_the_password_opens_under_any_name(name: str) -> None:
    start, body = answer("http", (b"host", b"x"), told(f"{name}:{PASSWORD}"))
    assert start["status"] == 200 and body["body"] == b"Here."


@pytest.mark.parametrize(
    "header",
    [
        told("ann:s\u00e9same: 2"),
        told("ann:"),
        told(PASSWORD),
        told(""),
        (b"authorization", b"Basic $"),
        (b"authorization", b""),
        (b"x-authorization", told(f"ann:{PASSWORD}")[1]),
    ],
)
def test_all_else_is_asked_for_it(header: tuple[bytes, bytes]) -> None:
    start, body = answer("http", header)
    assert start["status"] == 401 and b"Here" not in body["body"]
    assert dict(start["headers"])[b"www-authenticate"].startswith(b"Basic ")


def test_a_websocket_is_no_way_in() -> None:
    sent = answer("websocket")
    assert sent[0]["status"] == 401 and all(b"Here" not in message.get("body", b"") for message in sent)
