"""Serving the page: on one address, without any other host, until it is interrupted."""

from __future__ import annotations

import os
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
from unblind.errors import DemoError
from unblind.tasks.controls import Controls

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


def serve(listening: socket.socket, models: Models, controls: Controls, root_path: str = "") -> None:
    """Serve the page until it is interrupted; uploads lie in a temporary folder until then at most.

    Args:
        listening: where.
        models: that are asked.
        controls: of the task.
        root_path: the path, or the whole address, under which a proxy shows the page.
    """
    with TemporaryDirectory(prefix="unblind-demo-") as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder
        server = uvicorn.Server(
            uvicorn.Config(
                _app(build(Demo(models, controls)), root_path),
                log_level="warning",
                timeout_graceful_shutdown=1,
            )
        )
        host, port = listening.getsockname()[:2]
        print(f"http://{f'[{host}]' if ':' in host else host}:{port} (Ctrl-C ends it)", flush=True)
        if not ip_address(host).is_loopback:
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


def _app(page: gr.Blocks, root_path: str) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """The page with `POLICY` on all that it sends."""
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

    async def only_from_here(scope: Scope, receive: Receive, send: Send) -> None:
        async def with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"content-security-policy", POLICY.encode())]
            await send(message)

        await mounted(scope, receive, with_policy)

    return only_from_here
