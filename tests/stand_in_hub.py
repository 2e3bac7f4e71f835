"""The part of the Hugging Face Hub's HTTP API that uploads and downloads need, on loopback."""

from __future__ import annotations

import base64
import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import yaml

TOKEN = "hf_" + "plantedTokenOfTheTest" * 2


@dataclass
class Repo:
    """A repository: its files by path, and whether it is private."""

    private: bool = False
    files: dict[str, bytes] = field(default_factory=dict)
    commits: int = 0


@dataclass
class Hub:
    """What the stand-in holds and has been asked.

    `repos` has names like "models/me/x". `allowed` namespaces may be written to. `trouble` is "mid" (it hangs
    up when a large file arrives), "busy" (429), or "card" (it refuses every card).
    """

    address: str = ""
    repos: dict[str, Repo] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    seen: list[bytes] = field(default_factory=list)  # every byte that came, but the Authorization header
    allowed: tuple[str, ...] = ("me",)
    trouble: str = ""

    def files(self, name: str) -> dict[str, bytes]:
        return self.repos[name].files


@contextmanager
def serve() -> Iterator[Hub]:
    hub = Hub()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(http.server.BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def reply(self, status: int, value: Any = None, **headers: str) -> None:
        body = json.dumps(value if value is not None else {}).encode()
        self.send_response(status)
        for name, text in ({"Content-Type": "application/json"} | headers).items():
            self.send_header(name.replace("_", "-"), text)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, status: int, message: str, code: str = "") -> None:
        self.reply(
            status, {"error": message}, X_Error_Message=message, **({"X_Error_Code": code} if code else {})
        )

    def take(self) -> bytes:
        """The body; what was asked is noted."""
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            body = b"".join(parts)
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.hub.asked.append(f"{self.command} {self.path}")
        headers = [
            f"{name}: {text}" for name, text in self.headers.items() if name.lower() != "authorization"
        ]
        self.hub.seen += [self.path.encode(), "\n".join(headers).encode(), body]
        return body

    def known(self) -> bool:
        if self.hub.trouble == "busy":
            self.refuse(429, "slow down")
        elif self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self.refuse(401, "Invalid credentials in Authorization header")
        else:
            return True
        return False

    def do_GET(self) -> None:
        self.take()
        if not self.known():
            return
        if "/resolve/" in self.path:
            self.give_file()
            return
        asked = self.path.removeprefix("/api/").partition("?")[0]
        name, _, listed = asked.partition("/tree/")
        name = name.partition("/revision/")[0]
        if listed and name in self.hub.repos:
            folder = listed.partition("/")[2]
            inside = [path for path in self.hub.files(name) if path.startswith(folder)]
            self.reply(200, [{"type": "file", "path": path, "size": 0, "oid": "0" * 40} for path in inside])
            return
        if name not in self.hub.repos:
            self.refuse(404, "Repository not found", "RepoNotFound")
            return
        repo = self.hub.repos[name]
        files = [{"rfilename": path} for path in repo.files]
        self.reply(
            200, {"id": name.partition("/")[2], "private": repo.private, "siblings": files, "sha": "0" * 40}
        )

    do_HEAD = do_GET  # noqa: N815

    def give_file(self) -> None:
        """A file of a model, whole or its head."""
        name, _, rest = self.path.lstrip("/").partition("/resolve/")
        repo, path = self.hub.repos.get(f"models/{name}"), rest.partition("/")[2]
        if repo is None or path not in repo.files:
            self.refuse(404, "Not found", "RepoNotFound" if repo is None else "EntryNotFound")
            return
        data = repo.files[path]
        self.send_response(200)
        etag = f'"{hashlib.sha1(data).hexdigest()}"'
        headers = {"X-Repo-Commit": "0" * 40, "ETag": etag, "Content-Length": str(len(data))}
        for header, text in headers.items():
            self.send_header(header, text)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    def do_PUT(self) -> None:
        body = self.take()
        if self.hub.trouble == "mid":
            self.close_connection = True
            return
        oid = self.path.rpartition("/")[2]
        assert hashlib.sha256(body).hexdigest() == oid
        self.hub.blobs[oid] = body
        self.reply(200)

    def do_POST(self) -> None:
        body = self.take()
        if not self.known():
            return
        if self.path == "/api/repos/create":
            self.create(json.loads(body))
        elif self.path == "/api/validate-yaml":
            self.validate(json.loads(body)["content"])
        elif "/preupload/" in self.path:
            paths = [file["path"] for file in json.loads(body)["files"]]
            large = (".safetensors", ".parquet", ".png")
            modes = {path: "lfs" if path.endswith(large) else "regular" for path in paths}
            files = [{"path": p, "uploadMode": mode, "shouldIgnore": False} for p, mode in modes.items()]
            self.reply(200, {"files": files})
        elif self.path.endswith("/info/lfs/objects/batch"):
            self.reply(
                200, {"transfer": "basic", "objects": [self.action(o) for o in json.loads(body)["objects"]]}
            )
        elif "/commit/" in self.path:
            self.commit(body)
        else:
            self.refuse(404, "no such path")

    def create(self, asked: dict[str, Any]) -> None:
        owner, kind = asked.get("organization"), asked.get("type", "model")
        name = f"{kind}s/{owner}/{asked['name']}"
        if owner not in self.hub.allowed:
            # a careless server: it repeats the token that it was shown
            self.refuse(
                403, f"You may not create {owner}/{asked['name']} with {self.headers['Authorization']}"
            )
        elif name in self.hub.repos:
            self.refuse(409, "You already created this repo")
        else:
            self.hub.repos[name] = Repo(private=asked.get("visibility") == "private")
            self.reply(200, {"url": f"{self.hub.address}/{owner}/{asked['name']}"})

    def validate(self, card: str) -> None:
        """As the hub does: the YAML at the top has to be a mapping."""
        start, header, _ = card.split("---\n", 2)
        assert start == "" and isinstance(yaml.safe_load(header), dict)
        if self.hub.trouble == "card":
            self.reply(400, {"errors": [{"message": '"license" must be one of [...]'}], "warnings": []})
        else:
            self.reply(200, {"errors": [], "warnings": []})

    def action(self, blob: dict[str, Any]) -> dict[str, Any]:
        action = {"upload": {"href": f"{self.hub.address}/lfs/{blob['oid']}", "header": {}}}
        return blob | ({} if blob["oid"] in self.hub.blobs else {"actions": action})

    def commit(self, body: bytes) -> None:
        name = self.path.removeprefix("/api/").partition("/commit/")[0]
        repo = self.hub.repos[name]
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                repo.files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                repo.files[value["path"]] = self.hub.blobs[value["oid"]]
            elif line["key"] == "deletedFile":
                del repo.files[value["path"]]
        repo.commits += 1
        page = f"{self.hub.address}/{name.removeprefix('models/')}"
        self.reply(200, {"commitUrl": f"{page}/commit/{'1' * 40}", "commitOid": "1" * 40})
