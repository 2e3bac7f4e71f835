"""The report, as a person meets it: in a real browser, at a desk, on a phone, in the dark, on paper."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

import counting_task
from browser.conftest import Open
from unblind.report import write_report
from unblind.tasks import registry
from unit.report.test_report import make_quickstart, make_quickstart_of_two_tasks

pytestmark = pytest.mark.slow

Keep = Callable[[Page, str], None]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    return write_report(folder / "report.html", [make_quickstart(folder / "demo")])


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("two")
    runs = [make_quickstart(folder / name, words=[name, "letter"]) for name in ("first", "second")]
    return write_report(folder / "report.html", runs)


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a run on several tasks."""
    folder = tmp_path_factory.mktemp("tasks")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(registry.TASKS, counting_task.NAME, "counting_task")
        made = write_report(folder / "report.html", [make_quickstart_of_two_tasks(folder / "demo")])
    registry.task_named.cache_clear()
    return made


def fits(page: Page, width: int) -> bool:
    """Whether nothing makes the page scroll sideways; a table may, within itself."""
    return bool(page.evaluate("document.documentElement.scrollWidth") <= width)


def test_it_opens_with_the_sentence_and_the_picture(report: Path, open_page: Open, keep: Keep) -> None:
    page = open_page(report.as_uri())
    assert report.stat().st_size < 4_000_000
    assert page.title() == "Unblind report"
    for first in ("h1", ".lead svg"):
        box = page.locator(first).bounding_box()
        assert box is not None and box["y"] + box["height"] < 900  # without scrolling
    picture = page.locator(".lead svg").text_content()
    for shown in ("Blind", "After", "GPT-4o", "70.7", "1,248"):
        assert shown in (picture or "")
    assert fits(page, 1280)
    keep(page, "report")


@pytest.mark.parametrize("width", [360, 768])
def test_it_fits_a_phone(report: Path, open_page: Open, keep: Keep, width: int) -> None:
    page = open_page(report.as_uri(), width, 780)
    page.locator("details").evaluate_all("all => all.forEach(one => one.open = true)")
    assert fits(page, width)
    keep(page, f"report-{width}")


def test_images_enlarge_and_close(report: Path, open_page: Open) -> None:
    page = open_page(report.as_uri())
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_hidden()
    card = page.get_by_role("button", name="Enlarge").first
    card.click()
    expect(dialog).to_be_visible()
    small, large = card.locator("img").bounding_box(), dialog.locator("img").bounding_box()
    assert small is not None and large is not None and large["width"] > 2 * small["width"]
    before = dialog.inner_text()
    page.keyboard.press("ArrowRight")
    assert dialog.inner_text() != before
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    card.focus()
    page.keyboard.press("Enter")
    expect(dialog).to_be_visible()
    dialog.click()
    expect(dialog).to_be_hidden()


def luminance(page: Page, selector: str, name: str) -> float:
    script = f"one => getComputedStyle(one).{name}.match(/[\\d.]+/g).slice(0, 3).map(Number)"
    return sum(page.locator(selector).first.evaluate(script)) / 3


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark(report: Path, open_page: Open, keep: Keep, scheme: str) -> None:
    page = open_page(report.as_uri(), color_scheme=scheme)
    paper, ink = luminance(page, "body", "backgroundColor"), luminance(page, "h1", "color")
    label = luminance(page, ".lead svg text", "fill")
    assert (paper < 60 and min(ink, label) > 140) if scheme == "dark" else (paper > 200 and ink < 60)
    keep(page, f"report-{scheme}")


def test_on_paper(report: Path, open_page: Open, keep: Keep) -> None:
    page = open_page(report.as_uri(), 718, 1000, color_scheme="dark")  # A4's 190 mm, at a dark desk
    page.emulate_media(media="print")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert luminance(page, "h1", "color") < 60 and luminance(page, "html", "backgroundColor") > 200
    assert page.locator("details:not([open])").count() == 0  # nothing can be unfolded on paper
    assert fits(page, 718)
    assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth)")
    keep(page, "report-paper")
    assert page.pdf(format="A4").startswith(b"%PDF")


def test_two_runs_side_by_side(two: Path, open_page: Open, keep: Keep) -> None:
    page = open_page(two.as_uri(), 1600, 900)
    left, right = (main.bounding_box() for main in page.locator("main").all())
    assert left is not None and right is not None
    assert left["y"] == right["y"] and left["x"] + left["width"] < right["x"]
    assert fits(page, 1600)
    keep(page, "report-two")
    page.set_viewport_size({"width": 360, "height": 780})
    assert fits(page, 360)


def test_several_tasks_open_with_one_picture_and_lead_to_their_parts(
    tasks: Path, open_page: Open, keep: Keep
) -> None:
    page = open_page(tasks.as_uri())
    for first in ("h1", ".lead svg"):
        box = page.locator(first).first.bounding_box()
        assert box is not None and box["y"] + box["height"] < 900  # without scrolling
    picture = page.locator(".lead svg").first.text_content() or ""
    assert all(name in picture for name in ("circled-letter", counting_task.NAME, "mean"))
    expect(page.locator(f"#{counting_task.NAME}")).not_to_be_in_viewport()
    page.get_by_role("link", name=counting_task.TASK.title).click()
    expect(page.locator(f"#{counting_task.NAME} h2")).to_be_in_viewport()
    page.locator(f"#{counting_task.NAME} ~ section button").first.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    assert fits(page, 1280)
    keep(page, "report-tasks")
    page.set_viewport_size({"width": 360, "height": 780})
    assert fits(page, 360)
