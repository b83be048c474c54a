"""The page in a real browser, at the width of a phone and of a desktop."""

import shutil

import fake_report
import numpy as np
import pytest
from playwright.sync_api import sync_playwright

from desiderata.report import Report, write_report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed, so pages cannot be looked at")


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def addresses(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    write_report(fake_report.full(), folder / "full.html")
    write_report(fake_report.bench(), folder / "bench.html")
    many = fake_report.confusion(np.random.default_rng(0), [f"breed number {i}" for i in range(37)])
    write_report(Report(title="many classes", confusion=many), folder / "many.html")
    return {name: (folder / f"{name}.html").as_uri() for name in ("full", "bench", "many")}


def opened(browser, address, **settings):
    context = browser.new_context(**settings)
    page = context.new_page()
    page.complaints, page.fetched = [], []
    page.on("console", lambda message: page.complaints.append(message.text))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("request", lambda request: page.fetched.append(request.url))
    page.goto(address)
    return page


@pytest.mark.parametrize("name", ["full", "bench", "many"])
@pytest.mark.parametrize(("width", "scheme"), [(320, "light"), (375, "dark"), (768, "light"), (1280, "dark")])
def test_it_fits_and_nothing_is_fetched_or_refused(browser, addresses, name, scheme, width):
    page = opened(browser, addresses[name], viewport={"width": width, "height": 800}, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.complaints == []
    assert [url for url in page.fetched if not url.startswith("data:")] == [addresses[name]]
    drawn = page.locator("svg.figure:visible")
    assert drawn.count() == {"full": 3, "bench": 1, "many": 0}[name], "each drawing once, at the size that fits"
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 21, 26)"
    assert dark == (scheme == "dark")
    page.context.close()


def test_text_in_drawings_is_legible_on_a_phone(browser, addresses):
    page = opened(browser, addresses["full"], viewport={"width": 375, "height": 800})
    sizes = page.evaluate(
        """[...document.querySelectorAll('svg.figure')].filter(svg => svg.checkVisibility()).flatMap(svg => {
            const scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
            return [...svg.querySelectorAll('text')].map(text => scale * parseFloat(text.getAttribute('font-size')));
        })"""
    )
    assert min(sizes) >= 10
    page.context.close()


def test_filter(browser, addresses):
    page = opened(browser, addresses["full"], viewport={"width": 1280, "height": 800})
    cards = page.locator(".card:visible")
    assert cards.count() == 20, "the first and the last round are unfolded"
    page.select_option("select[name=label]", "cat")
    assert cards.count() == 10
    assert page.locator("output").inner_text() == "10 of 100"
    page.select_option("select[name=round]", "4")
    assert cards.count() == 1
    page.select_option("select[name=round]", "")
    page.select_option("select[name=label]", "")
    assert cards.count() == 20
    assert page.complaints == []
    page.context.close()


def test_without_scripts_all_is_within_reach(browser, addresses):
    page = opened(browser, addresses["full"], viewport={"width": 375, "height": 800}, java_script_enabled=False)
    assert not page.locator("#filter").is_visible()
    for summary in page.locator("details:not([open]) > summary").all()[::-1]:
        summary.click()
    assert page.locator(".card:visible").count() == 100
    page.context.close()


def test_print_unfolds_everything_on_white(browser, addresses):
    page = opened(browser, addresses["full"], viewport={"width": 700, "height": 1000}, color_scheme="dark")
    page.emulate_media(media="print")
    assert page.locator(".card").last.bounding_box()["height"] > 50
    assert page.locator(".card").nth(45).bounding_box()["height"] > 50, "folded on the screen"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("document.documentElement.scrollWidth") <= 700
    page.context.close()
