"""The demo, as a person meets it: served by its command, in a real browser."""

from __future__ import annotations

import io
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageDraw

from unblind.models.adapters import adapt
from unblind.models.loading import load

pytest.importorskip("gradio", reason="Gradio is not installed: pip install -e '.[demo]'")
from playwright.sync_api import Page, expect

from browser.conftest import Open

Keep = Callable[[Page, str], None]


@pytest.fixture(scope="session")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random LoRA weights, strong enough to change the answers: what is right does not matter here."""
    folder = tmp_path_factory.mktemp("adapter")
    model = adapt(load("tiny").model, {"language": "lora", "projector": "frozen", "vision": "frozen"}, rank=4)
    torch.manual_seed(0)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.1)
    model.save_pretrained(folder)
    return folder


@contextmanager
def serving(log: Path, *arguments: object, **environment: str) -> Iterator[str]:
    """Run `unblind demo` on a free port; gives its address."""
    command = [sys.executable, "-m", "unblind", "demo", "--port", "0", *map(str, arguments)]
    with (
        log.open("w") as errors,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, env={**os.environ, **environment}
        ) as process,
    ):
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("http://127.0.0.1:"), log.read_text()
            yield line.split()[0]
            assert "Traceback" not in log.read_text()
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(90)


@pytest.fixture(scope="module")
def calls() -> Iterator[tuple[str, list[bytes]]]:
    """A proxy for all that the server would ask of other hosts, and what came to it."""
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def listen() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    asked.append(connection.recv(200))

        threading.Thread(target=listen, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", asked
        listening.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="module")
def url(
    adapter: Path, calls: tuple[str, list[bytes]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    proxy, asked = calls
    log = tmp_path_factory.mktemp("demo") / "log.txt"
    proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), proxy)
    with serving(log, "--adapter", adapter, **proxies, NO_PROXY="127.0.0.1") as address:
        yield address
    assert not asked


def png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def photo() -> Image.Image:
    image = Image.new("RGB", (300, 200), "white")
    draw = ImageDraw.Draw(image)
    draw.text((60, 60), "word", fill="black", font_size=70)
    draw.ellipse((55, 70, 120, 140), outline="red", width=4)
    return image


def both_answered(page: Page) -> None:
    expect(page.locator(".answer")).to_have_count(2)
    for name in ("blind", "cured"):
        card = page.locator(f".answer.{name}")
        expect(card.locator(".letter")).to_have_text(_letter)
        expect(card.locator(".likeliest li")).to_have_count(5)
        expect(card.locator(".free")).to_contain_text("says freely")


_letter = re.compile(r"^[A-Za-z]$")


def test_type_a_word_and_click_a_letter(url: str, open_page: Open, keep: Keep) -> None:
    page = open_page(url)
    both_answered(page)
    page.get_by_label("Word").fill("Lantern")
    expect(page.locator(".canvas button")).to_have_count(7)
    page.get_by_role("button", name="Circle letter 5, e").click()
    expect(page.locator(".canvas img")).to_have_attribute("alt", "Lantern, its letter 5, e, circled")
    expect(page.get_by_role("button", name="Circle letter 5, e")).to_have_attribute("aria-pressed", "true")
    both_answered(page)
    for verdict in page.locator(".verdict").all():
        assert verdict.inner_text() in ("✓ right", "✗ it is e")
    expect(page.locator(".look figcaption").first).to_contain_text("Without the ring:")
    expect(page.locator(".look figcaption").last).to_contain_text("Without the ring:")
    expect(page.locator(".look.cured rect")).to_have_count(7)
    expect(page.locator(".look.cured ellipse")).to_have_count(1)
    expect(page.get_by_role("heading", name="Where they look")).to_be_visible()
    keep(page, "demo")


def test_font_colour_and_line_change_the_picture(url: str, open_page: Open) -> None:
    page = open_page(url)
    both_answered(page)
    picture = page.locator(".canvas img")
    before = picture.get_attribute("src")
    page.get_by_label("blue").check()
    expect(picture).not_to_have_attribute("src", before or "")
    before = picture.get_attribute("src")
    page.get_by_label("Font").click()
    page.get_by_role("option", name="Lato").click()
    expect(picture).not_to_have_attribute("src", before or "")
    before = picture.get_attribute("src")
    page.locator("#line input[type=number]").fill("9")
    page.locator("#line input[type=number]").blur()
    expect(picture).not_to_have_attribute("src", before or "")
    before = picture.get_attribute("src")
    page.locator("#size input[type=number]").fill("40")
    page.locator("#size input[type=number]").blur()
    expect(picture).not_to_have_attribute("src", before or "")


def test_another_word(url: str, open_page: Open) -> None:
    page = open_page(url)
    both_answered(page)
    page.get_by_role("button", name="Another").click()
    expect(page.locator(".canvas img")).not_to_have_attribute("alt", re.compile("^Acknowledgement"))
    word = page.get_by_label("Word").input_value()
    expect(page.locator(".canvas button")).to_have_count(len(word))
    both_answered(page)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("café 1", "take out “é”, a space, “1”"),
        ("Слово", "Only the letters A–Z and a–z"),
        ("<b>bold</b>", "take out “<”, “>”, “/”"),
        ("Pneumonoultramicroscopic", "24 letters would be too small to read"),
        ("", "Type a word."),
    ],
)
def test_what_cannot_be_drawn_is_said(url: str, open_page: Open, typed: str, said: str) -> None:
    page = open_page(url)
    both_answered(page)
    page.get_by_label("Word").fill(typed)
    expect(page.get_by_role("alert")).to_contain_text(said)
    expect(page.locator(".answer.cured .letter")).to_have_text("–")
    page.get_by_label("Word").fill("good")
    expect(page.get_by_role("alert")).to_have_count(0)
    both_answered(page)


def upload(page: Page, name: str, data: bytes, kind: str = "image/png") -> None:
    page.get_by_role("tab", name="Your own picture").click()
    page.locator("#file input[type=file]").set_input_files({"name": name, "mimeType": kind, "buffer": data})


def test_upload_a_picture(url: str, open_page: Open, keep: Keep) -> None:
    page = open_page(url)
    both_answered(page)
    upload(page, "photo.png", png(photo()))
    expect(page.locator(".verdict")).to_have_count(0)  # nobody knows what is right
    expect(page.get_by_label("Font")).to_be_hidden()
    both_answered(page)
    page.get_by_role("button", name="Where do they look?").click()
    expect(page.locator(".look.cured rect").nth(6)).to_be_attached()
    expect(page.locator(".looking")).to_have_count(0)
    keep(page, "demo-upload")


def test_paste_a_picture(url: str, open_page: Open) -> None:
    page = open_page(url, permissions=["clipboard-read", "clipboard-write"])
    both_answered(page)
    page.get_by_role("tab", name="Your own picture").click()
    page.evaluate(
        """async (bytes) => {
          const blob = new Blob([new Uint8Array(bytes)], {type: "image/png"});
          await navigator.clipboard.write([new ClipboardItem({"image/png": blob})]);
        }""",
        list(png(photo())),
    )
    page.get_by_label("Paste from clipboard").click()
    expect(page.locator(".verdict")).to_have_count(0)
    both_answered(page)


def animation() -> bytes:
    out = io.BytesIO()
    frames = [photo(), photo().rotate(5)]
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:])
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "said", "answered"),
    [
        ("broken.png", png(photo())[:400], "This file: the image cannot be decoded", False),
        ("text.png", b"no picture at all", "This file: the image cannot be decoded", False),
        ("vector.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "the image cannot be decoded", False),
        ("bomb.png", png(Image.new("1", (8000, 8000))), "more than 50 million pixels", False),
        ("moving.gif", animation(), "its first picture alone was read", True),
    ],
)
def test_bad_files_are_named(
    url: str, open_page: Open, name: str, data: bytes, said: str, answered: bool
) -> None:
    page = open_page(url)
    both_answered(page)
    upload(page, name, data, "image/svg+xml" if name.endswith("svg") else f"image/{name[-3:]}")
    expect(page.get_by_role("alert").filter(has_text=said)).to_be_visible()
    if answered:
        both_answered(page)
    else:
        expect(page.locator(".answer.cured .letter")).to_have_text("–")


def test_too_large_and_other_files_are_refused(url: str, open_page: Open) -> None:
    page = open_page(url)
    both_answered(page)
    upload(page, "huge.png", png(photo()) + bytes(11 * 2**20))
    expect(page.get_by_text(re.compile("10(\\.00)? MB")).first).to_be_visible()
    body = b"--x\r\nContent-Disposition: form-data; name=files; filename=a.png\r\n\r\n" + bytes(11 * 2**20)
    request = urllib.request.Request(
        f"{url}/gradio_api/upload",
        body + b"\r\n--x--\r\n",
        {"Content-Type": "multipart/form-data; boundary=x"},
    )
    with pytest.raises(urllib.error.HTTPError, match="413"):
        urllib.request.urlopen(request)


def test_fits_a_phone_in_the_dark(url: str, open_page: Open, keep: Keep) -> None:
    page = open_page(url, 360, 780, color_scheme="dark")
    both_answered(page)
    expect(page.locator(".look figcaption").last).to_contain_text("Without the ring:")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    red, green, blue = page.evaluate(
        "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"
    )
    assert max(red, green, blue) < 60
    keep(page, "demo-phone-dark")


def test_without_an_adapter_it_says_how_to_get_one(tmp_path: Path, open_page: Open, keep: Keep) -> None:
    with serving(tmp_path / "log.txt") as address:
        page = open_page(address)
        expect(page.locator(".answer.blind .likeliest li")).to_have_count(5)
        expect(page.locator(".answer.cure")).to_contain_text(
            "unblind demo --adapter unblind-quickstart/train"
        )
        keep(page, "demo-blind")
