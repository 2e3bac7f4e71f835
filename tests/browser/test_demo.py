"""The demo, as a person meets it: served by its command, in a real browser."""

from __future__ import annotations

import http.server
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageDraw

import dot_task
from unblind.models.adapters import add_adapter
from unblind.models.loading import load

pytest.importorskip("gradio", reason="Gradio is not installed: pip install -e '.[demo]'")
from playwright.sync_api import Page, expect

from browser.conftest import Open

pytestmark = pytest.mark.slow

Keep = Callable[[Page, str], None]


@pytest.fixture(scope="session")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random LoRA weights, strong enough to change the answers: what is right does not matter here."""
    folder = tmp_path_factory.mktemp("adapter")
    model = add_adapter(
        load("tiny").model, {"language": "lora", "projector": "frozen", "vision": "frozen"}, rank=4
    )
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
        expect(card.locator(".reply")).to_have_text(_letter)
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
    expect(page.locator(".answer.cured .reply")).to_have_text("–")
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
        expect(page.locator(".answer.cured .reply")).to_have_text("–")


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


def call(url: str, path: str, body: object = None) -> urllib.request.Request:
    data = None if body is None else json.dumps(body).encode()
    return urllib.request.Request(f"{url}/gradio_api/{path}", data, {"Content-Type": "application/json"})


@dataclass(frozen=True)
class User:
    """A page without a browser: it sends and reads what Gradio's own script does."""

    url: str
    number: int
    events: dict[str, int]  # the numbers of the page's events, by what they need

    def ask(self, event: str, data: list[object], clicked: dict[str, int] | None = None) -> list[str]:
        """What the page would show, without how long it took."""
        page = f"user{self.number}{event}{uuid.uuid4().hex[:6]}"
        body = {"data": data, "fn_index": self.events[event], "session_hash": page, "event_data": clicked}
        with urllib.request.urlopen(call(self.url, "queue/join", body), timeout=300):
            pass
        with urllib.request.urlopen(call(self.url, f"queue/data?session_hash={page}"), timeout=300) as lines:
            for line in lines:
                message = json.loads(line.removeprefix(b"data:")) if line.startswith(b"data:") else {}
                if message.get("msg") == "process_completed":
                    assert message["success"], message
                    shown = map(str, message["output"]["data"])
                    return [re.sub(r'class="seconds">[^<]*', "", html) for html in shown]
        raise AssertionError("the server hung up")

    @property
    def word(self) -> str:
        return "abcdefghijklmnopqrst"[self.number :] + "Z" * self.number

    @property
    def spot(self) -> int:
        return 7 * self.number % 20

    def draw(self) -> list[str]:
        wishes = [None, self.word, "Lato", 40 + self.number, 5, "red"]
        return self.ask("canvas", wishes, {"spot": self.spot})

    def upload(self) -> list[str]:
        image = photo().rotate(self.number)
        image.putpixel((0, 0), (self.number, 0, 0))
        name = f"name={self.number}.png".encode()
        head = b"--x\r\nContent-Disposition: form-data; name=files; file" + name
        request = urllib.request.Request(
            f"{self.url}/gradio_api/upload",
            head + b"\r\nContent-Type: image/png\r\n\r\n" + png(image) + b"\r\n--x--\r\n",
            {"Content-Type": "multipart/form-data; boundary=x"},
        )
        with urllib.request.urlopen(request, timeout=300) as answer:
            (path,) = json.load(answer)
        file = {"path": path, "meta": {"_type": "gradio.FileData"}}
        return self.ask("file", [file, "Which letter is being circled?"])


def events_of(url: str) -> dict[str, int]:
    """The page's events: a click on the canvas, and a new file."""
    with urllib.request.urlopen(f"{url}/config") as answer:
        config = json.load(answer)
    kinds = {one["id"]: one["type"] for one in config["components"]}
    found = {}
    for event in config["dependencies"]:
        for target, name in event["targets"]:
            if (kinds.get(target), name) == ("html", "click"):
                found["canvas"] = event["id"]
            elif (kinds.get(target), name) == ("image", "change"):
                found["file"] = event["id"]
    return found


def test_twenty_at_once_get_their_own_answers(url: str) -> None:
    """What each is told among the others is what it is told alone."""
    users = [User(url, number, events_of(url)) for number in range(20)]
    with ThreadPoolExecutor(40) as pool:
        drawn = [pool.submit(user.draw) for user in users]
        read = [pool.submit(user.upload) for user in users]
        together = [(one.result(), other.result()) for one, other in zip(drawn, read, strict=True)]
    for user, (shown, uploaded) in zip(users, together, strict=True):
        letter = user.word[user.spot]
        assert f"{user.word}, its letter {user.spot + 1}, {letter}, circled" in shown[0]
        assert all(verdict == letter for verdict in re.findall(r"it is <b>(.)</b>", shown[3]))
        assert shown == user.draw()
        assert uploaded == user.upload()
    assert len({shown[3] for shown, _ in together}) == len({read[1] for _, read in together}) == len(users)


def truth_of(page: Page) -> str:
    """The right answer, by what the cured model's card says."""
    verdict = page.locator(".answer.cured .verdict").inner_text()
    told = page.locator(".answer.cured .reply").inner_text()
    return told if verdict.startswith("✓") else verdict.removeprefix("✗ it is ")


def test_a_task_without_a_page_of_its_own(adapter: Path, tmp_path: Path, open_page: Open, keep: Keep) -> None:
    """Another package's task: pictures by number, its questions, the right answer, its parts hidden."""
    folders = (dot_task.register(tmp_path / "site"), Path(dot_task.__file__).parent)
    path = os.pathsep.join([*map(str, folders), os.environ.get("PYTHONPATH", "")])
    line = ("--task", "dot-side", "--adapter", adapter)
    with serving(tmp_path / "log.txt", *line, PYTHONPATH=path) as address:
        page = open_page(address)
        expect(page.get_by_role("heading", name="In which half is the dot?")).to_be_visible()
        expect(page.locator(".answer.cured .reply")).to_have_text(re.compile("^(Left|Right)$"))
        expect(page.locator(".answer.cured .likeliest li")).to_have_count(2)
        expect(page.locator(".look figcaption").last).to_contain_text("Without the dot:")
        expect(page.locator(".look.cured rect")).to_have_count(2)
        assert not re.search("letter|word|ring", page.locator("body").inner_text())
        picture, truth = page.locator(".canvas img"), truth_of(page)

        page.get_by_label("Question").first.click()
        page.get_by_role("option", name="Which half is empty?").click()
        expect(picture).to_have_attribute("alt", re.compile("Which half is empty"))
        assert {truth, truth_of(page)} == {"Left", "Right"}

        before = picture.get_attribute("src") or ""
        page.get_by_role("button", name="Another").click()
        expect(picture).not_to_have_attribute("src", before)
        number = page.get_by_label("Picture number")
        number.fill("-3")
        number.blur()
        expect(page.get_by_role("alert")).to_contain_text("Type the number of a picture")
        number.fill("0")
        number.blur()
        expect(picture).to_have_attribute("src", before)
        keep(page, "demo-plain")

        upload(page, "photo.png", png(photo()))
        expect(page.locator(".verdict")).to_have_count(0)
        question = page.locator("#own").get_by_label("Question")
        question.fill("Where is the radius {radius}?")
        question.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("needs the picture's radius")


Act = Callable[[Page], None]


def set_number(page: Page, which: int, value: float) -> None:
    """Type into one of the sliders' fields, and wait for the picture."""
    before = page.locator(".canvas img").get_attribute("src") or ""
    field = page.locator(".wishes input[type=number]").nth(which)
    field.fill(str(value))
    field.blur()
    expect(page.locator(".canvas img")).not_to_have_attribute("src", before)


def drag(page: Page, name: str, x: float, y: float) -> None:
    """Drag what has a name to a place, in shares of the picture, and wait for the picture."""
    before = page.locator(".canvas img").get_attribute("src") or ""
    spot, area = page.get_by_role("button", name=name, exact=True), page.locator(".canvas > div")
    area.scroll_into_view_if_needed()
    here, paper = spot.bounding_box(), area.bounding_box()
    assert here and paper
    page.mouse.move(here["x"] + here["width"] / 2, here["y"] + here["height"] / 2)
    page.mouse.down()
    page.mouse.move(paper["x"] + x * paper["width"], paper["y"] + y * paper["height"], steps=4)
    page.mouse.up()
    expect(page.locator(".canvas img")).not_to_have_attribute("src", before)


def circles(page: Page) -> None:
    """Apart, together; and by the keys, which stay on the circle."""
    set_number(page, 0, 20)
    set_number(page, 1, 20)
    drag(page, "The first circle", 0.2, 0.2)
    drag(page, "The second circle", 0.8, 0.8)
    assert truth_of(page) == "No"
    drag(page, "The second circle", 0.3, 0.25)
    assert truth_of(page) == "Yes"
    second = page.get_by_role("button", name="The second circle", exact=True)
    left = float((second.get_attribute("style") or "").split("left:")[1].split("%")[0])
    second.focus()
    for step in range(1, 4):
        page.keyboard.press("Shift+ArrowRight")
        expect(second).to_have_attribute("style", re.compile(f"left:{left + 5 * step:.0f}\\."))
        expect(second).to_be_focused()


def rings(page: Page) -> None:
    """As many as are chosen; each can be dragged."""
    for count in (3, 6):
        set_number(page, 0, count)
        expect(page.locator(".canvas button")).to_have_count(count)
        assert truth_of(page) == str(count)
    drag(page, "Number 6", 0.5, 0.5)
    assert truth_of(page) == "6"


def squares(page: Page) -> None:
    """Added, dragged; too many are refused in a sentence, and the page goes on."""
    set_number(page, 0, 2)
    assert truth_of(page) == "2"
    drag(page, "Square 2 from outside", 0.5, 0.5)
    set_number(page, 0, 1)
    assert truth_of(page) == "1"
    page.locator(".wishes input[type=number]").nth(1).fill("12")
    page.locator(".wishes input[type=number]").nth(0).fill("7")
    page.locator(".wishes input[type=number]").nth(0).blur()
    expect(page.get_by_role("alert")).to_contain_text("There is no room")
    page.locator(".wishes input[type=number]").nth(0).fill("1")
    page.locator(".wishes input[type=number]").nth(0).blur()
    expect(page.get_by_role("alert")).to_have_count(0)


def table(page: Page) -> None:
    """Rows and columns; a line moved; words."""
    set_number(page, 0, 3)
    set_number(page, 1, 5)
    assert truth_of(page) == "3,5"
    drag(page, "Upright line 2", 0.3, 0.5)
    before = page.locator(".canvas img").get_attribute("src") or ""
    page.get_by_label("Words in the cells").click()
    expect(page.locator(".canvas img")).not_to_have_attribute("src", before)
    assert truth_of(page) == "3,5"


def lines(page: Page) -> None:
    """Side by side they do not cross; a bend pulled over the other line crosses it twice."""
    set_number(page, 0, 1)
    upright = page.get_by_role("button", name="Blue, point 1", exact=True).bounding_box()
    last = page.get_by_role("button", name="Blue, point 3", exact=True).bounding_box()
    assert upright and last
    turned = abs(last["y"] - upright["y"]) > abs(last["x"] - upright["x"])
    for name, away in (("Blue", 0.2), ("Red", 0.8)):
        for number, along in ((1, 0.1), (3, 0.9), (2, 0.5)):
            drag(page, f"{name}, point {number}", *((away, along) if turned else (along, away)))
    assert truth_of(page) == "0"
    drag(page, "Blue, point 2", *((0.97, 0.5) if turned else (0.5, 0.97)))
    assert truth_of(page) == "2"


def stations(page: Page) -> None:
    """Two of them are asked about; a route is added between them."""
    spots = page.locator(".canvas button")
    while spots.count() < 3:
        before = page.locator(".canvas img").get_attribute("src") or ""
        page.get_by_role("button", name="Another").click()
        expect(page.locator(".canvas img")).not_to_have_attribute("src", before)
    names = [(spots.nth(i).get_attribute("aria-label") or "")[-1] for i in range(3)]
    for name in (names[2], names[1]):
        page.get_by_role("button", name=f"Ask about station {name}").click()
        expect(page.get_by_role("button", name=f"Ask about station {name}")).to_have_attribute(
            "aria-pressed", "true"
        )
    expect(page.locator(".canvas img")).to_have_attribute("alt", re.compile(f" {names[2]} to {names[1]}[.?]"))
    routes = page.locator(".wishes input[type=number]").nth(0)
    truth, count = int(truth_of(page)), int(routes.input_value())
    set_number(page, 0, count - 1)
    assert truth - 1 <= int(truth_of(page)) <= truth


@pytest.mark.parametrize(
    ("task", "act"),
    [
        ("two-circles", circles),
        ("olympic-circles", rings),
        ("olympic-pentagons", rings),
        ("nested-squares", squares),
        ("grid", table),
        ("line-intersections", lines),
        ("subway", stations),
    ],
)
def test_each_task_has_controls_of_its_own(
    adapter: Path, tmp_path: Path, open_page: Open, keep: Keep, task: str, act: Act
) -> None:
    with serving(tmp_path / "log.txt", "--task", task, "--adapter", adapter) as address:
        page = open_page(address)
        expect(page.locator(".answer.cured .verdict")).to_have_count(1)
        act(page)
        expect(page.locator(".answer.blind .verdict")).to_have_count(1)
        before = page.locator(".canvas img").get_attribute("src") or ""
        page.get_by_role("button", name="Another").click()
        expect(page.locator(".canvas img")).not_to_have_attribute("src", before)
        expect(page.locator(".answer.cured .verdict")).to_have_count(1)
        if task not in ("grid", "nested-squares"):  # tables have no parts to hide, a square alone has none
            expect(page.locator(".look.cured rect")).not_to_have_count(0)
        expect(page.locator(".looking")).to_have_count(0)
        keep(page, f"demo-{task}")


class Proxy(http.server.BaseHTTPRequestHandler):
    """A proxy that shows a page under /lab/demo and leaves the prefix out of what it asks for."""

    target = ""
    prefix = "/lab/demo"

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        if not self.path.startswith(f"{self.prefix}/"):
            self.send_error(404)
            return
        size = int(self.headers.get("Content-Length") or 0)
        headers = {name: self.headers[name] for name in ("Host", "Content-Type") if name in self.headers}
        request = urllib.request.Request(
            self.target + self.path.removeprefix(self.prefix),
            self.rfile.read(size) if size else None,
            headers,
            method=self.command,
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.headers["Content-Type"])
            self.end_headers()
            while part := answer.read1(65_536):
                self.wfile.write(part)
                self.wfile.flush()

    do_POST = do_GET  # noqa: N815


def test_behind_a_proxy_under_a_path(adapter: Path, tmp_path: Path, open_page: Open) -> None:
    with serving(tmp_path / "log.txt", "--adapter", adapter, "--root-path", "/lab/demo") as address:
        handler = type("Handler", (Proxy,), {"target": address})
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            page = open_page(f"http://127.0.0.1:{server.server_port}/lab/demo/")
            both_answered(page)
            page.get_by_role("button", name="Circle letter 2, c").click()
            expect(page.locator(".canvas img")).to_have_attribute("alt", re.compile("its letter 2, c"))
            upload(page, "photo.png", png(photo()))
            expect(page.locator(".verdict")).to_have_count(0)
            both_answered(page)
            server.shutdown()
