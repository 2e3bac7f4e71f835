"""Serving the page: on one address, without any other host, until it is interrupted."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import gradio as gr
import uvicorn
from fastapi import FastAPI
from starlette.types import Message, Receive, Scope, Send

from unblind.demo.ask import Models
from unblind.demo.page import Demo, build
from unblind.demo.password import with_password
from unblind.errors import DemoError
from unblind.tasks.controls import Controls

PASSWORD = "UNBLIND_PASSWORD"  # noqa: S105  (the name of an environment variable)
UPLOAD = "10mb"
# With this the browser itself refuses whatever is not from here.
POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; font-src 'self' data:;"
    " script-src 'self' 'unsafe-inline' 'unsafe-eval'; worker-src 'self' blob:; connect-src 'self'"
)
THEME: dict[str, Any] = {
    "font": ["system-ui", "Segoe UI", "Roboto", "Helvetica Neue", "Arial", "sans-serif"],
    "font_mono": ["ui-monospace", "Consolas", "monospace"],
    "primary_hue": "teal",
    "secondary_hue": "teal",
    "neutral_hue": "stone",
}


def listen(host: str, port: int) -> socket.socket:
    """The socket to serve on; port 0 takes a free one. Raises DemoError if it cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no such port"
        raise DemoError(
            f"{host}, port {port}, cannot be served on ({reason}); name another (--host, --port)"
        ) from error


def share(listening: socket.socket, password: str | None) -> str:
    """A public address for what is served here, by Gradio's tunnel, which goes when the process ends.

    Raises DemoError without a password, or if there is no tunnel.
    """
    if not password:
        raise DemoError(
            "--share shows the page to the whole world: set a password (--password, or the environment"
            f" variable {PASSWORD})"
        )
    from gradio.networking import setup_tunnel

    host, port = listening.getsockname()[:2]
    try:
        address: str = setup_tunnel(host, port, secrets.token_urlsafe(32), None, None)
    except Exception as error:  # what no network, or no program for this machine, leads to
        reason = str(error).partition("\n")[0][:200] or type(error).__name__
        raise DemoError(
            f"--share: Gradio's tunnel cannot be opened ({reason}); check the network, or use a proxy of your"
            " own (docs/demo.md)"
        ) from error
    return address


def serve(
    listening: socket.socket,
    models: Models,
    controls: Controls,
    root_path: str = "",
    *,
    password: str | None = None,
    public: str | None = None,
) -> None:
    """Serve the page until it is interrupted; uploads lie in a temporary folder until then at most.

    Args:
        listening: where.
        models: that are asked.
        controls: of the task.
        root_path: the path, or the whole address, under which a proxy shows the page.
        password: that every request has to bring, by HTTP's basic authentication, with any user's name.
        public: the address that `share` gave.
    """
    with TemporaryDirectory(prefix="unblind-demo-") as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder
        server = uvicorn.Server(
            uvicorn.Config(
                _app(build(Demo(models, controls)), root_path, password),
                log_level="warning",
                timeout_graceful_shutdown=1,
            )
        )
        host, port = listening.getsockname()[:2]
        print(f"http://{f'[{host}]' if ':' in host else host}:{port} (Ctrl-C ends it)", flush=True)
        if public:
            print(f"{public} (for everyone who knows the password)", flush=True)
        if not password and not ip_address(host).is_loopback:
            print("Whoever reaches this machine can use it: it asks for no password.", flush=True)
        server.run(sockets=[listening])


def check_root_path(root_path: str) -> str:
    """A path that begins with a slash, or a whole address; without a slash at its end. Raises DemoError."""
    if root_path and not root_path.startswith(("/", "http://", "https://")):
        raise DemoError(
            f"--root-path {root_path}: begins with neither / nor http:// nor https://; name the path of the"
            " page behind the proxy, such as /demo"
        )
    return root_path.rstrip("/")


def _app(
    page: gr.Blocks, root_path: str, password: str | None
) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """The page, for those who bring the password, with `POLICY` on all that it sends."""
    mounted = gr.mount_gradio_app(
        FastAPI(openapi_url=None),
        page,
        path="/",
        root_path=root_path or None,
        footer_links=[],
        run_history=False,
        max_file_size=UPLOAD,
        ssr_mode=False,
        mcp_server=False,
        pwa=False,
        theme=gr.themes.Base(**THEME),
        css_paths=Path(__file__).parent / "demo.css",
    )

    asking = with_password(mounted, password) if password else mounted

    async def only_from_here(scope: Scope, receive: Receive, send: Send) -> None:
        async def with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"content-security-policy", POLICY.encode())]
            await send(message)

        await asking(scope, receive, with_policy)

    return only_from_here
