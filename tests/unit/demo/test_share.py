"""`unblind demo --share`: only with a password, and only where there is a tunnel."""

from __future__ import annotations

import pytest

pytest.importorskip("gradio", reason="Gradio is not installed: pip install -e '.[demo]'")
from unblind.demo.serve import listen, share
from unblind.errors import DemoError


@pytest.mark.parametrize("password", [None, ""])
def test_it_is_refused_without_a_password(password: str | None) -> None:
    with (
        listen("127.0.0.1", 0) as listening,
        pytest.raises(
            DemoError, match=r"set a password \(--password, or the environment variable UNBLIND_PASS"
        ),
    ):
        share(listening, password)


def test_no_network_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that would leave this machine goes to a port on which nobody listens."""
    with listen("127.0.0.1", 0) as closed:
        nowhere = f"http://127.0.0.1:{closed.getsockname()[1]}"
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, nowhere)
    with (
        listen("127.0.0.1", 0) as listening,
        pytest.raises(DemoError, match=r"Gradio's tunnel cannot be opened .*check the network"),
    ):
        share(listening, "secret")
