"""Drive the page of `resnext serve` in a headless browser, as people use it: `make pages`.

It runs in an environment of its own (playwright, and axe-core for accessibility), against a server that it
starts by the command given as arguments, as `.venv/bin/python -m resnext serve runs/demo`. Each check prints
a line; the first that fails ends it. Screenshots are written to --shots.
"""

from __future__ import annotations

import argparse
import base64
import csv
import json
import os
import re
import shutil
import subprocess
import tempfile
import urllib.request
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext, Page, expect, sync_playwright

SIZES = {"desktop": (1280, 900), "phone": (390, 844)}
TOKEN = "a-token-for-the-page"
#: Bytes of the page and all that it loads, and seconds to its first paint.
MOST_BYTES, MOST_S = 150_000, 0.5


class Server:
    """The server under test."""

    def __init__(self, command: list[str], token: str | None = None) -> None:
        environment = os.environ | ({"RESNEXT_TOKEN": token} if token else {})
        self.process = subprocess.Popen(
            [*command, "--port", "0"], stdout=subprocess.PIPE, text=True, env=environment
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found = re.search(r"http://\S+:\d+/", line)
        assert found, line
        self.url = found[0]

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        assert self.process.wait(20) == 0


def say(text: str) -> None:
    print(f"ok  {text}", flush=True)


def check_axe(page: Page, axe: Path, what: str) -> None:
    page.add_script_tag(path=str(axe))
    found = page.evaluate("axe.run()")
    serious = [one for one in found["violations"] if one["impact"] in ("serious", "critical")]
    assert not serious, json.dumps(serious, indent=1)[:3000]
    others = ", ".join(one["id"] for one in found["violations"]) or "none"
    say(f"axe-core, {what}: {len(found['passes'])} rules kept, none broken seriously, others: {others}")


def drop(page: Page, files: list[tuple[str, bytes]], event: str = "drop") -> None:
    """Drop or paste files, as a browser hands them over."""
    page.evaluate(
        """([files, event]) => {
            const transfer = new DataTransfer();
            for (const [name, text] of files) {
                const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
                transfer.items.add(new File([bytes], name, { type: "image/png" }));
            }
            const target = document.getElementById("drop");
            const given = event === "drop"
                ? new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true })
                : new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true });
            target.dispatchEvent(given);
        }""",
        [[(name, base64.b64encode(content).decode()) for name, content in files], event],
    )


def done(page: Page, count: int, of: int | None = None) -> None:
    expect(page.locator("#status")).to_contain_text(f"{count} of {of or count} images done", timeout=30_000)


def check_weight(page: Page, url: str) -> None:
    page.goto(url)
    sizes = [
        len(urllib.request.urlopen(url + name).read()) for name in ("", "page.css", "page.js", "icon.svg")
    ]
    assert sum(sizes) < MOST_BYTES, sizes
    times = []
    for _ in range(5):
        page.reload()
        times.append(
            page.evaluate(
                """() => new Promise((done) => {
                    const told = performance.getEntriesByName("first-contentful-paint");
                    if (told.length) return done(told[0].startTime);
                    new PerformanceObserver((list) => {
                        for (const one of list.getEntries())
                            if (one.name === "first-contentful-paint") done(one.startTime);
                    }).observe({ type: "paint", buffered: true });
                })"""
            )
        )
    first = sorted(times)[2] / 1000
    assert first < MOST_S, times
    say(f"the page and all it loads: {sum(sizes):,} bytes; first paint after {first:.3f} s (median of 5)")


def check_jobs(page: Page, images: list[tuple[str, bytes]], shots: Path, size: str, axe: Path | None) -> None:
    """Every way to give images, and every answer."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda told: errors.append(told.text) if told.type == "error" else None)
    page.reload()
    expect(page.locator("#about")).to_contain_text("knows 10 classes")
    page.screenshot(path=str(shots / f"{size}-empty.png"))
    drop(page, images[:1])
    done(page, 1)
    card = page.locator(".card").first
    expect(card.locator("h3")).to_have_text(re.compile(r"^(\d|None of these)$"))
    assert card.locator(".bars li").count() == 5
    shares = [float(re.split(r"\s", text)[0]) for text in card.locator(".share").all_inner_texts()]
    assert shares == sorted(shares, reverse=True)
    assert 95 < sum(shares) <= 100.3
    expect(card.locator(".how")).to_have_text(re.compile(r"engine \w+, [\d.]+ ms$"))
    assert page.locator("#many").is_hidden()
    say(f"{size}: one image dropped: class, bars that add up, engine and milliseconds")
    canvas = card.locator("canvas")
    with_map = canvas.evaluate("(one) => one.toDataURL()")
    page.get_by_label("Show the evidence").uncheck()
    without = canvas.evaluate("(one) => one.toDataURL()")
    assert with_map != without
    page.get_by_label("Show the evidence").check()
    assert canvas.evaluate("(one) => one.toDataURL()") == with_map
    expect(canvas).to_have_attribute("aria-label", re.compile("with the evidence for"))
    say(f"{size}: the class activation map lies over the image, and is taken off")
    page.screenshot(path=str(shots / f"{size}-one.png"), full_page=True)
    drop(page, images[1:2], "paste")
    done(page, 2)
    say(f"{size}: one image pasted")
    folder = Path(tempfile.mkdtemp())
    for name, content in images[2:]:
        (folder / name).write_bytes(content)
    (folder / "broken.png").write_bytes(b"no image")
    page.locator("#files").set_input_files(sorted(folder.iterdir()))
    count = len(images) + 1
    done(page, count)
    expect(page.locator("#status")).to_contain_text("1 of them could not be classified")
    expect(page.locator(".card.bad h3")).to_contain_text("is not an image that can be read")
    names = [*(name for name, _ in images[:2]), "broken.png", *(name for name, _ in images[2:])]
    assert page.locator("#rows th").all_inner_texts() == names  # in the order in which they were given
    assert page.locator(".card .name").all_inner_texts() == names
    with page.expect_download() as given:
        page.get_by_role("button", name="Download table").click()
    with open(given.value.path(), encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["image"] for row in rows} == {name for name, _ in images} | {"broken.png"}
    good = [row for row in rows if not row["error"]]
    assert len(good) == len(images)
    for row in good:
        assert abs(sum(float(row[f"p({n})"]) for n in range(10)) - 1) < 1e-3
    say(f"{size}: {count} images chosen, one of them broken; the table has a row for each, downloaded as CSV")
    page.screenshot(path=str(shots / f"{size}-many.png"), full_page=size == "desktop")
    width = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert width <= 0, f"the page is {width} px wider than the screen"
    if axe is not None:
        check_axe(page, axe, f"{size} with answers")
    page.get_by_role("button", name="Clear").click()
    assert page.locator("#results").is_hidden()
    assert page.evaluate("document.activeElement.id") == "files"
    page.get_by_role("button", name="Use the camera").click()
    expect(page.locator("#shoot")).to_be_enabled()
    page.wait_for_timeout(500)
    page.get_by_role("button", name="Take the picture").click()
    done(page, 1)
    expect(page.locator(".name").first).to_have_text("photograph 1.jpg")
    say(f"{size}: a picture of the (simulated) camera")
    shutil.rmtree(folder)
    origin = page.url.rstrip("/")
    strangers = [url for url in asked if not url.startswith((origin, "blob:", "data:"))]
    assert not strangers, strangers
    unexpected = [text for text in errors if "422" not in text]  # the broken image
    assert not unexpected, unexpected
    say(f"{size}: nothing was loaded from elsewhere, and no error of the page ({len(asked)} requests)")


def check_none(page: Page, images: list[tuple[str, bytes]], shots: Path) -> None:
    """What looks like no class is "none of these"."""
    page.reload()
    expect(page.locator("#about")).to_contain_text("knows")
    for number, (name, content) in enumerate(images, start=1):
        drop(page, [(name, content)])
        done(page, number)
    titles = page.locator(".card h3").all_inner_texts()
    assert "None of these" in titles, titles
    page.screenshot(path=str(shots / "none.png"), full_page=True)
    say('what looks like no class: "None of these", and why')


def check_keyboard(page: Page, image: Path) -> None:
    """All by keys: to the choice of files, the answers, the evidence, the table."""
    page.reload()
    expect(page.locator("#about")).to_contain_text("knows")
    reached = []
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.className"))
        if reached[-1] == "files":
            break
    assert reached[-1] == "files", reached
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(image)
    done(page, 1)
    for wanted in ("camera", "map", "download", "clear"):
        for _ in range(6):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.id") == wanted:
                break
        assert page.evaluate("document.activeElement.id") == wanted
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none", wanted
    say("by keyboard alone: files, camera, evidence, table and clear are reached, and the focus is seen")


def check_token(page: Page, url: str, image: tuple[str, bytes], axe: Path | None) -> None:
    page.goto(url)
    expect(page.locator("#login")).to_be_visible()
    assert page.locator("#give").is_hidden()
    if axe is not None:
        check_axe(page, axe, "token")
        page.goto(url)
    page.get_by_label("Token").fill("wrong-token-of-length")
    page.get_by_role("button", name="Continue").click()
    expect(page.locator("#login-error")).to_contain_text("not the token")
    page.get_by_label("Token").fill(TOKEN)
    page.get_by_role("button", name="Continue").click()
    expect(page.locator("#give")).to_be_visible()
    drop(page, [image])
    done(page, 1)
    say("with a token: it is asked for, a wrong one is refused, the right one is taken")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--axe", type=Path, required=True, help="axe.min.js")
    parser.add_argument("--images", type=Path, required=True, help="folder of PNG files of digits")
    parser.add_argument("--strange", type=Path, required=True, help="folder of PNG files of no digits")
    parser.add_argument("--shots", type=Path, required=True)
    parser.add_argument("--chromium", default=shutil.which("chromium"))
    parser.add_argument("command", nargs="+")
    given = parser.parse_args()
    given.shots.mkdir(parents=True, exist_ok=True)
    images = [(path.name, path.read_bytes()) for path in sorted(given.images.iterdir())]
    strange = [(path.name, path.read_bytes()) for path in sorted(given.strange.iterdir())]
    flags = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    flags += ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    with sync_playwright() as playwright, Server(given.command) as server:
        browser = playwright.chromium.launch(executable_path=given.chromium, args=flags)

        def context(size: str, **options: Any) -> BrowserContext:
            width, height = SIZES[size]
            more = {"has_touch": True, "device_scale_factor": 2} if size == "phone" else {}
            view = {"width": width, "height": height}
            return browser.new_context(viewport=view, permissions=["camera"], **more, **options)

        page = context("desktop").new_page()
        check_weight(page, server.url)
        for size in SIZES:
            for csp, axe in ((False, None), (True, given.axe)):  # axe-core is a script from elsewhere
                page = context(size, bypass_csp=csp).new_page()
                page.goto(server.url)
                check_jobs(page, images, given.shots, size, axe)
        for scheme in ("light", "dark"):
            page = context("desktop", bypass_csp=True, color_scheme=scheme).new_page()
            page.goto(server.url)
            drop(page, [*images[:2], *strange[:1]])
            done(page, 2 + len(strange[:1]))
            assert page.locator(".card.bad").count() == 0
            check_axe(page, given.axe, scheme)
            page.screenshot(path=str(given.shots / f"{scheme}.png"), full_page=True)
        page = context("desktop").new_page()
        page.goto(server.url)
        check_none(page, strange, given.shots)
        with tempfile.TemporaryDirectory() as folder:
            (path := Path(folder) / images[0][0]).write_bytes(images[0][1])
            check_keyboard(page, path)
        with Server(given.command, TOKEN) as guarded:
            page = context("phone", bypass_csp=True).new_page()
            check_token(page, guarded.url, images[0], given.axe)
        browser.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
