"""Drive pages of the site and the explorer in a headless browser, as people use them: `make docs-pages`.

It runs in the environment of `make pages` (playwright, axe-core for accessibility), on the files without a
server. Each check prints a line; the first that fails ends it. Screenshots are written to --shots.
"""

from __future__ import annotations

import argparse
import itertools
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

SIZES = {"desktop": (1280, 1400), "phone": (390, 844)}
SCHEMES = ("light", "dark")
PAGES = ("index", "explorer", "reference/commands", "formats")
#: Presses of Tab that reach anything on the page.
MOST_TABS = 60


def say(text: str) -> None:
    print(f"ok  {text}", flush=True)


@contextmanager
def opened(browser: Browser, path: Path, size: str, scheme: str) -> Iterator[Page]:
    """The page at `path`, which must load nothing from elsewhere and tell of no error."""
    width, height = SIZES[size]
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    page = context.new_page()
    page.set_default_timeout(60_000)
    asked: list[str] = []
    errors: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(path.as_uri())
    yield page
    strangers = [url for url in asked if not url.startswith(("file:", "data:", "blob:"))]
    assert not strangers, strangers
    assert not errors, errors
    context.close()


def check_axe(page: Page, axe: Path, what: str) -> None:
    page.add_script_tag(path=str(axe))
    found = page.evaluate("axe.run()")
    serious = [one for one in found["violations"] if one["impact"] in ("serious", "critical")]
    assert not serious, json.dumps(serious, indent=1)[:4000]
    others = ", ".join(one["id"] for one in found["violations"]) or "none"
    say(f"axe-core, {what}: {len(found['passes'])} rules kept, none broken seriously, others: {others}")


def check_width(page: Page, what: str) -> None:
    over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert over <= 0, f"{what} is {over} px wider than the screen"


def reach(page: Page, wanted: str) -> None:
    """Press Tab until the element with the id `wanted` has the focus, which must be seen."""
    for _ in range(MOST_TABS):
        if page.evaluate("document.activeElement.id") == wanted:
            break
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == wanted, wanted
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none", wanted


def check_explorer(page: Page) -> None:
    """All by keys: the sliders, the command, the experiments."""
    command, said = page.locator("#command"), page.locator("#said")
    expect(command).to_have_text("resnext train IMAGES --model resnext50_32x4d")
    expect(said).to_have_text("resnext50_32x4d: 25.03 M parameters, 4.23 G multiply-adds")
    drawn = page.locator("#form-a").inner_html()
    reach(page, "cardinality")
    page.keyboard.press("Home")
    reach(page, "width")
    for _ in range(100):
        if page.locator("#width-shown").inner_text() == "64 channels":
            break
        page.keyboard.press("ArrowRight")
    expect(command).to_have_text("resnext train IMAGES --model resnet50")
    expect(said).to_contain_text("25.56 M parameters, 4.089 G multiply-adds")
    assert page.locator("#form-a").inner_html() != drawn
    assert page.locator("#width").get_attribute("aria-valuetext") == "64 channels"
    assert page.url.endswith("#resnet50")
    say("explorer: sliders by keys change network, drawing, cost and address, and are told in words")
    page.reload()
    expect(command).to_have_text("resnext train IMAGES --model resnet50")
    say("explorer: the address gives the network again")
    reach(page, "copy")
    page.keyboard.press("Enter")
    expect(said).to_contain_text("Copied: resnext train IMAGES --model resnet50")
    say("explorer: the command is copied")
    page.get_by_role("button", name="Show resnext20_4x9d+template=24 above").first.click()
    expect(said).to_contain_text("resnext20_4x9d+template=24")
    assert page.evaluate("document.activeElement.id") == "depth"
    for number in range(page.locator("#study option").count()):
        page.locator("#study").select_option(str(number))
        points = page.locator("#plot .point").count()
        assert points == page.locator("#point-rows tr").count() >= 2
    page.locator("#study").select_option("0")
    page.locator("#axis").select_option("0")
    assert page.locator("#plot .now").count() == 1
    say("explorer: every experiment is drawn, and a point of it shown above")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--axe", type=Path, required=True, help="axe.min.js")
    parser.add_argument("--shots", type=Path, required=True)
    parser.add_argument("--chromium", default=shutil.which("chromium"))
    parser.add_argument("site", type=Path)
    given = parser.parse_args()
    given.shots.mkdir(parents=True, exist_ok=True)
    flags = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=given.chromium, args=flags)
        for name, size, scheme in itertools.product(PAGES, SIZES, SCHEMES):
            what = f"{name.rpartition('/')[2]}-{size}-{scheme}"
            with opened(browser, (given.site / f"{name}.html").resolve(), size, scheme) as page:
                page.screenshot(path=str(given.shots / f"{what}.png"), full_page=name != "reference/commands")
                check_width(page, what)
                check_axe(page, given.axe, what)
        for size in SIZES:
            with opened(browser, (given.site / "explorer.html").resolve(), size, "light") as page:
                check_explorer(page)
                check_width(page, "the explorer")
                page.screenshot(path=str(given.shots / f"explored-{size}.png"), full_page=True)
        browser.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
