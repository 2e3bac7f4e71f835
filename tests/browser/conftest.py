"""Debian's Chromium, driven by Playwright, and pages that are watched while a test looks at them."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright", reason="Playwright is not installed: pip install -e '.[dev]'")
from playwright.sync_api import Browser, Page, expect, sync_playwright

expect.set_options(timeout=60_000)  # of a busy machine

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage"]
HERE = re.compile(r"(http://127\.0\.0\.1[:/]|data:|blob:|file:)")

Open = Callable[..., Page]


@pytest.fixture(scope="module")  # Playwright's event loop would be in the way of other tests'
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium to look at pages with: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Open]:
    """Open an address in a window of a size; in the end, nothing outside was asked for, and nothing broke."""
    contexts, outside, broken = [], [], []

    def open_(url: str, width: int = 1280, height: int = 900, **options: Any) -> Page:
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        context.set_default_timeout(60_000)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: HERE.match(request.url) or outside.append(request.url))
        page.on("pageerror", lambda error: broken.append(str(error)))
        page.goto(url)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert not outside
    assert not broken


@pytest.fixture(scope="session")
def keep(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Page, str], None]:
    """Keep a screenshot of the whole page, in the folder that UNBLIND_SCREENSHOTS names if it is set."""
    named = os.environ.get("UNBLIND_SCREENSHOTS")
    folder = Path(named) if named else tmp_path_factory.mktemp("screenshots")

    def shoot(page: Page, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=folder / f"{name}.png", full_page=True)
        assert (folder / f"{name}.png").stat().st_size > 10_000

    return shoot
