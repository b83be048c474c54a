"""The page on which a person picks pictures, in a browser."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from desiderata.errors import DesiderataError
from desiderata.report.picking import Row, write_picking

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
FOLDER = "round's pictures"
NAMES = [["00-on-the-beach/00.png", "00-on-the-beach/01.png"], ["01 it's <b>/00.png", "01 it's <b>/01.png"]]
SENTENCES = ["a sks toy on the beach", "a <b>sks</b> toy"]


def written(folder: Path, most: int = 2) -> Path:
    for names in NAMES:
        for number, name in enumerate(names):
            path = folder / FOLDER / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((64, 64, 3), 60 + 90 * number, np.uint8)).save(path)
    files = [{name: f"{FOLDER}/{name}" for name in names} for names in NAMES]
    rows = [Row(sentence, row) for sentence, row in zip(SENTENCES, files, strict=True)]
    path = folder / "candidates.html"
    command = "desiderata personalize pick 'my run'"
    write_picking(path, "Round 1: pick", "Pick well.", rows, most=most, command=command)
    return path


@pytest.fixture
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed, so pages cannot be looked at")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, tmp_path: Path) -> Iterator[Page]:
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    found = context.new_page()
    complaints: list[str] = []
    found.on("console", lambda message: complaints.append(message.text))
    found.on("pageerror", lambda error: complaints.append(str(error)))
    found.goto(written(tmp_path).as_uri())
    yield found
    assert complaints == []


def line(page: Page) -> str:
    return page.locator("textarea").input_value()


def test_a_click_writes_the_command_and_another_takes_it_back(page: Page):
    assert (line(page), page.locator("button").is_disabled()) == ("", True)
    page.locator("img").nth(1).click()
    assert line(page) == "desiderata personalize pick 'my run' 00-on-the-beach/01.png"
    assert page.locator("output").inner_text() == "1 of 2 picked"
    page.locator("img").nth(1).click()
    assert line(page) == ""


def test_names_are_quoted_for_a_shell_and_escaped_for_a_page(page: Page):
    page.locator("img").nth(2).click()
    assert line(page).endswith(""" '01 it'"'"'s <b>/00.png'""")
    assert page.locator("legend").nth(1).inner_text() == SENTENCES[1]


def test_no_more_can_be_picked_than_a_round_learns_from(page: Page):
    for number in range(2):
        page.locator("img").nth(number).click()
    assert [box.is_disabled() for box in page.locator("input").all()] == [False, False, True, True]
    assert len(page.locator("input:checked").all()) == 2


def test_all_pictures_are_shown(page: Page):
    for image in page.locator("img").all():
        image.scroll_into_view_if_needed()
        assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") == 64


def test_the_command_is_copied(page: Page):
    page.locator("img").first.click()
    page.get_by_role("button").click()
    page.get_by_text("Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == line(page)


@pytest.mark.parametrize(("works", "said"), [("true", "Copied"), ("false", "Press Ctrl+C")])
def test_without_a_clipboard_the_command_is_selected(page: Page, works: str, said: str):
    page.evaluate("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    page.evaluate(f"document.execCommand = () => {works}")
    page.locator("img").first.click()
    page.get_by_role("button").click()
    page.get_by_text(said).wait_for()
    assert page.evaluate("[document.activeElement.selectionStart, document.activeElement.selectionEnd]") == [
        0,
        len(line(page)),
    ]


def test_without_a_script_the_names_are_there_to_copy(browser: Browser, tmp_path: Path):
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(written(tmp_path).as_uri())
    assert [label.inner_text() for label in page.locator("label").all()] == [name for row in NAMES for name in row]
    assert not page.locator("#told").is_visible()


def test_the_keyboard_is_enough(page: Page):
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert line(page).endswith("00-on-the-beach/00.png")


def test_where_the_page_cannot_be_written_that_is_said(tmp_path: Path):
    (tmp_path / "candidates.html").mkdir()
    with pytest.raises(DesiderataError, match="cannot be written"):
        written(tmp_path)
