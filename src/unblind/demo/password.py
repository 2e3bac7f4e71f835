"""A password that every request has to bring, by HTTP's basic authentication (RFC 7617)."""

from __future__ import annotations

import base64
import secrets

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

_ASK = PlainTextResponse(
    "This page has a password.", 401, {"WWW-Authenticate": 'Basic realm="unblind", charset="UTF-8"'}
)


def with_password(app: ASGIApp, password: str) -> ASGIApp:
    """The app for those who know the password, under any user's name; the others are asked for it."""

    async def asking(scope: Scope, receive: Receive, send: Send) -> None:
        known = scope["type"] == "lifespan" or _brings(scope, password)
        await (app if known else _ASK)(scope, receive, send)

    return asking


def _brings(scope: Scope, password: str) -> bool:
    """Whether a request has the password, compared in a time that tells nothing of it."""
    written = dict(scope["headers"]).get(b"authorization", b"")
    try:
        told = base64.b64decode(written.partition(b" ")[2], validate=True).partition(b":")[2]
    except ValueError:
        return False
    return secrets.compare_digest(told, password.encode())
