"""The benchmark by its name on the hub, from a stand-in for the hub on loopback."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from unblind.data.images import encode_png

NAME = "XAI/vlmsareblind"
COMMIT = "0123456789" * 4
QUESTION = "Which letter is being circled? Please provide your answer in curly brackets, e.g. {a}"
READ = """
import json, sys
from unblind import read
from unblind.errors import DatasetError
for name in sys.argv[1:]:
    try:
        rows = read(name)
        columns = [rows[name][:] for name in ("id", "task", "prompt", "answer")]
        print(json.dumps([*columns, rows[0]["image"].size]))
    except DatasetError as error:
        print(error)
"""


def benchmark(path: Path) -> bytes:
    """A file of the benchmark's schema: samples of two of its tasks, and one of a task that nobody knows."""
    image = {"bytes": encode_png(np.zeros((4, 6, 3), np.uint8)), "path": "x.png"}
    rows = [
        {"task": task, "prompt": QUESTION, "groundtruth": truth, "metadata": "{}", "image": image}
        for task, truth in (("Circled Letter", "b"), ("Unknown Task", "?"), ("Touching Circles", "Yes"))
    ]
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path.read_bytes()


class Hub(BaseHTTPRequestHandler):
    """Answers what `datasets` asks of one repository: what it is, its files' names, and their bytes."""

    files: dict[str, bytes]

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        api, pages = f"/api/datasets/{NAME}", f"/datasets/{NAME}/resolve/"
        if path == api or path.startswith(f"{api}/revision/"):
            names = [{"rfilename": name} for name in self.files]
            self._json({"id": NAME, "sha": COMMIT, "siblings": names, "private": False, "tags": []})
        elif path.startswith(f"{api}/tree/{COMMIT}"):
            self._json(self._listed(path.removeprefix(f"{api}/tree/{COMMIT}").lstrip("/")))
        elif path.startswith(pages) and (name := path.removeprefix(pages).partition("/")[2]) in self.files:
            self._send(200, self.files[name])
        else:
            code = "EntryNotFound" if NAME in path else "RepoNotFound"
            self._send(404, b"", **{"X-Error-Code": code})

    do_HEAD = do_GET  # noqa: N815

    def _listed(self, folder: str) -> list[dict[str, object]]:
        """The files and folders in a folder, as `tree` shows them."""
        prefix = f"{folder}/" if folder else ""
        inside = [name for name in self.files if name.startswith(prefix)]
        folders = {prefix + name.removeprefix(prefix).partition("/")[0] for name in inside} - set(inside)
        entries: list[dict[str, object]] = [
            {"type": "file", "path": name, "size": len(self.files[name]), "oid": _digest(self.files[name])}
            for name in inside
            if "/" not in name.removeprefix(prefix)
        ]
        return entries + [{"type": "directory", "path": n, "size": 0, "oid": COMMIT} for n in folders]

    def _json(self, value: object) -> None:
        self._send(200, json.dumps(value).encode())

    def _send(self, code: int, data: bytes, **headers: str) -> None:
        self.send_response(code)
        known = {"X-Repo-Commit": COMMIT, "ETag": f'"{_digest(data)}"', "Content-Length": str(len(data))}
        for name, value in (known | headers).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


def _digest(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[str]:
    Hub.files = {
        "README.md": b"---\nlicense: mit\n---\n",
        "data/valid-00000-of-00001.parquet": benchmark(tmp_path / "valid.parquet"),
    }
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_benchmark_is_read_by_its_name(hub: str, tmp_path: Path) -> None:
    """The tasks that are known here, by our names, with the prompts as published; another is not there."""
    home = {"HF_ENDPOINT": hub, "HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "0"}
    done = subprocess.run(
        [sys.executable, "-c", READ, NAME, "no/such"],
        capture_output=True,
        text=True,
        env=os.environ | home,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    found, unknown = done.stdout.splitlines()
    assert json.loads(found) == [
        ["0", "2"],
        ["circled-letter", "two-circles"],
        [QUESTION] * 2,
        ["b", "Yes"],
        [6, 4],
    ]
    assert unknown.startswith("no/such: neither a file or folder here, nor a dataset")
