"""Record docs/images/demo.gif: the demo in a browser, as somebody types words and clicks on letters.

    python docs/demo.py unblind-quickstart/train

Needs Chromium and Playwright, as the browser tests do.
"""

from __future__ import annotations

import io
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

OUT = Path(__file__).parent / "images" / "demo.gif"
SIZE, WIDTH, COLORS = (1180, 860), 860, 128  # of the window; of the film, whose text stays readable
SCENES = (  # a word, a letter of it, counted from 1, and how long to look at the answers, s
    ("Acknowledgement", 3, 1.8),
    ("Acknowledgement", 9, 1.8),
    ("Subway", 5, 2.2),
    ("blindness", 1, 2.2),
    ("blindness", 7, 2.6),
)


def main() -> None:
    """Serve the demo, play the scenes, save the film."""
    expect.set_options(timeout=120_000)
    with ExitStack() as stack:
        address = stack.enter_context(served(Path(sys.argv[1])))
        playwright = stack.enter_context(sync_playwright())
        chromium = shutil.which("chromium") or shutil.which("chromium-browser")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        width, height = SIZE
        page = browser.new_page(viewport={"width": width, "height": height}, color_scheme="light")
        page.goto(address, timeout=120_000)
        answered(page)
        frames = [frame for scene in SCENES for frame in played(page, *scene)]
        browser.close()
    save(frames)


def played(page: Page, word: str, letter: int, seconds: float) -> list[tuple[Image.Image, float]]:
    """The pictures of a scene, each with the seconds that it stays."""
    frames = []
    field = page.get_by_label("Word")
    if field.input_value() != word:
        field.fill(word)
        expect(page.locator(".canvas button")).to_have_count(len(word))
        answered(page)
        frames.append((shot(page), 0.9))
    page.get_by_role("button", name=f"Circle letter {letter}, {word[letter - 1]}").click()
    expect(page.locator(".canvas img")).to_have_attribute("alt", re.compile(f"its letter {letter},"))
    page.mouse.move(0, 0)  # or the letter below it would look as if it could be clicked on
    answered(page)
    frames.append((shot(page), seconds))
    return frames


def answered(page: Page) -> None:
    """Wait until both models have answered the picture that is shown."""
    for name in ("blind", "cured"):
        expect(page.locator(f".answer.{name} .verdict")).to_be_visible()
    expect(page.locator(".looking")).to_have_count(0)
    time.sleep(0.5)


def shot(page: Page) -> Image.Image:
    """The window as it is."""
    return Image.open(io.BytesIO(page.screenshot())).convert("RGB")


def save(frames: list[tuple[Image.Image, float]]) -> None:
    """Write the film with one palette, so that its colours stay."""
    width, height = SIZE
    small = [image.resize((WIDTH, WIDTH * height // width), Image.Resampling.LANCZOS) for image, _ in frames]
    sheet = Image.new("RGB", (WIDTH, len(small) * small[0].height))
    for number, image in enumerate(small):
        sheet.paste(image, (0, number * image.height))
    palette = sheet.quantize(COLORS)
    film = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in small]
    times = [int(1000 * seconds) for _, seconds in frames]
    film[0].save(OUT, save_all=True, append_images=film[1:], duration=times, loop=0, optimize=True)
    print(f"{OUT}: {len(film)} pictures, {OUT.stat().st_size:,} bytes")


@contextmanager
def served(adapter: Path) -> Iterator[str]:
    """The address of the demo, which runs in a process of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "unblind", "demo", "--adapter", str(adapter), "--port", str(port)]
    process = subprocess.Popen(command)
    try:
        while socket.socket().connect_ex(("127.0.0.1", port)):
            if process.poll() is not None:
                raise SystemExit("the demo has ended; its message stands above")
            time.sleep(0.5)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    main()
