"""The documentation site, without what builds it: pages, links, commands, schemas, the explorer."""

from __future__ import annotations

import importlib
import json
import posixpath
import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from markdown import markdown

import resnext
from resnext.cli.commands import COMMANDS
from resnext.cli.option_names import option_names, positional_names
from resnext.contract import Contract
from resnext.design import describe
from resnext.recipe import RECIPES
from resnext.records import read_records

ROOT = Path(__file__).parents[1]
TOOLS = ROOT / "tools" / "docs"
EXTENSIONS = ["toc", "attr_list", "fenced_code", "tables", "md_in_html", "def_list"]


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """A module of tools/docs by its name."""
    monkeypatch.syspath_prepend(TOOLS)
    return importlib.import_module


def nav(entries: list[Any]) -> list[str]:
    """The pages of a navigation, in their order."""
    found = []
    for entry in entries:
        (value,) = entry.values() if isinstance(entry, dict) else (entry,)
        found += nav(value) if isinstance(value, list) else [value]
    return found


@cache
def in_nav() -> list[str]:
    return nav(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"])


def pages(stage: ModuleType) -> dict[str, str]:
    """Every page of the site by its path."""
    stored = {path.relative_to(ROOT / "docs").as_posix(): path for path in (ROOT / "docs").rglob("*.md")}
    texts = {name: path.read_text() for name, path in stored.items()} | stage.made() | stage.moved()
    return {name: text for name, text in texts.items() if name.endswith(".md")}


def test_every_page_is_in_the_navigation_once(tool: Any) -> None:
    assert sorted(in_nav()) == sorted(pages(tool("stage")))
    assert in_nav()[0] == "index.md"


def links(html: str) -> list[str]:
    return [link for link in re.findall(r'(?:href|src)="([^"]*)"', html) if not re.match(r"[a-z]+:", link)]


def broken(pages: dict[str, str], files: set[str]) -> list[str]:
    """Links inside of `pages` that lead to no file of `files`, or to no place on one of `pages`."""
    html = {name: markdown(text, extensions=EXTENSIONS) for name, text in pages.items()}
    places = {name: set(re.findall(r'id="([^"]+)"', text)) for name, text in html.items()}
    found = []
    for name, text in html.items():
        for link in links(text):
            path, _, place = link.partition("#")
            target = posixpath.normpath(posixpath.join(posixpath.dirname(name), path)) if path else name
            target = re.sub(r"\.html$", ".md", target) if target not in files else target
            if target not in files or (place and place not in places.get(target, ())):
                found.append(f"{name}: {link}")
    return found


def test_links_inside_lead_somewhere(tool: Any) -> None:
    stage = tool("stage")
    files = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*")}
    files |= {*stage.made(), *stage.moved(), *stage.COMPUTED}
    assert broken(pages(stage), files) == []
    assert broken({"a.md": "# A\n[x](b.md) [y](#a) [z](#b)"}, {"a.md"}) == ["a.md: b.md", "a.md: #b"]
    beside = {name: (ROOT / name).read_text() for name in ("README.md", *stage.BESIDE) if name[-3:] == ".md"}
    in_docs = {f"docs/{name}": text for name, text in pages(stage).items() if f"docs/{name}" not in beside}
    shown = beside | {name: text for name, text in in_docs.items() if (ROOT / name).exists()}
    tools = {path.relative_to(ROOT).as_posix() for path in TOOLS.iterdir()}
    here = {path.name for path in ROOT.iterdir()} | {f"docs/{name}" for name in files} | tools
    assert [one for one in broken(shown, here) if one.partition(":")[0] in beside] == []


def test_commands_have_all_their_options(tool: Any) -> None:
    """Those of the parser's help are those that the fields of the commands name."""
    verbs = tool("verbs")
    for kind in COMMANDS:
        groups = verbs.help_of(kind.name).groups
        typed = " ".join(option.typed for group in groups for option in group.options)
        options = {word.replace("-", "_") for word in re.findall(r"--([a-z][\w.-]*)", typed)} - {"help"}
        known = set(option_names(kind))
        assert options <= known, kind.name
        assert {name for name in known - options if ".no_" not in name} == set(), kind.name
        assert all(word in typed for word in positional_names(kind).values()), kind.name
        assert all(option.text for group in groups for option in group.options), kind.name
    assert f"## {COMMANDS[-1].name}\n" in verbs.page()


def test_help_in_another_form_is_an_error(tool: Any) -> None:
    boxes = tool("verbs")._boxes
    assert list(boxes(["╭─ options ─╮", "│ --out  x │", "╰──────────╯"])) == [("options", ["--out  x"])]
    with pytest.raises(ValueError, match="not understood"):
        list(boxes(["╭─ options ─╮", "--out  x"]))


def test_every_public_name_stands_on_one_page(tool: Any) -> None:
    text = "\n".join(tool("reference").pages().values())
    shown = re.findall(r"^::: (\S+)$", text, re.MULTILINE)
    assert len(shown) == len(set(shown)) > 90
    objects = tool("reference").public()
    assert {id(one) for one in objects.values()} == {id(objects[name]) for name in shown}
    for name in resnext.__all__:
        one = getattr(resnext, name)
        assert isinstance(one, ModuleType | str) or f"resnext.{name}" in objects, name


def test_every_recipe_is_shown(tool: Any) -> None:
    page = tool("stage").made()["reference/recipes.md"]
    assert re.findall(r"^## (\S+)$", page, re.MULTILINE) == [*RECIPES]


def test_schemas_are_those_of_the_dataclasses(tool: Any) -> None:
    """Printed by `python tools/docs/schemas.py`; `make docs` checks them with jsonschema."""
    schemas = tool("schemas")
    kept = {path.name: path.read_text() for path in schemas.FOLDER.glob("*.json")}
    assert kept == {name: schemas.text_of(name) for name in schemas.KINDS}
    page = (ROOT / "docs" / "formats.md").read_text()
    assert all(f"schemas/{name})" in page for name in kept)


def test_the_contract_that_is_shown_is_one() -> None:
    page = (ROOT / "docs" / "formats.md").read_text()
    (shown,) = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    assert json.loads(Contract.loads(shown).dumps()) == json.loads(shown)


@pytest.fixture
def few(tool: Any) -> list[dict[str, Any]]:
    """The data of some networks of each family, among them those of the paper."""
    explorer = tool("explorer")
    imagenet, cifar, small = explorer.FAMILIES
    families = (
        replace(imagenet, depths=(50, 101), cardinalities=(1, 32, 64), widths=(4, 64)),
        replace(cifar, depths=(29,), cardinalities=(8, 16), widths=(64,)),
        replace(small, depths=(20, 29), cardinalities=(1, 8), widths=(5, 24)),
    )
    return [explorer.family_data(one) for one in families]


def networks(families: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    found = [one for family in families for rows in family["networks"] for row in rows for one in row]
    return {one["name"]: one for one in found}


def test_the_explorer_agrees_with_the_paper(few: list[dict[str, Any]]) -> None:
    """And with torchvision's counts, exactly."""
    (*_, record) = read_records(ROOT / "results" / "published.jsonl")
    known, compared = networks(few), 0
    for row in record["rows"]:
        if row["network"] in known:
            params, macs = known[row["network"]]["cost"]
            paper = row["paper"]
            for ours, theirs in ((params / 1e6, paper["params_m"]), (macs / 1e9, paper["gmacs"])):
                assert theirs is None or ours == pytest.approx(theirs, rel=0.025)
                compared += theirs is not None
            if row["torchvision"]:
                assert row["torchvision"] == {"params": params, "gmacs": round(macs / 1e9, 3)}
    assert compared >= 8
    assert known["resnext50_32x4d"]["cost"][0] == pytest.approx(25.0e6, abs=0.05e6)


def test_the_explorer_agrees_with_describe(few: list[dict[str, Any]]) -> None:
    for family in few:
        for name, one in networks([family]).items():
            arch = resnext.Architecture.from_name(name, 1000 if family["size_px"] == 224 else 10)
            table = describe(arch, family["size_px"])
            assert one["cost"] == [table.cost.params, table.cost.macs]
            assert one["rows"] == [[row.cost.params, row.cost.macs] for row in table.rows]
            assert family["maps_px"] == [row.output_px for row in table.rows[:-1]]
            depth, c, d = (arch.depth, arch.cardinality, arch.base_width)
            place = family["cardinalities"].index(c), family["widths"].index(d)
            assert family["blocks"][family["depths"].index(depth)] == arch.blocks
            layers = family["blocks_of"][place[0]][place[1]]["layers"]
            assert layers == [row.template for row in table.rows[1:-1]]


def test_the_equal_budget_is_the_nearest(few: list[dict[str, Any]]) -> None:
    """A path that is one channel wider or narrower is no nearer in multiply-adds."""
    for family, classes in zip(few, (1000, 10, 10), strict=True):
        for one in networks([family]).values():
            name, width, params, macs = one["like"]
            like = resnext.Architecture.from_name(name, classes)
            assert (like.cardinality, like.base_width) == (1, width)
            costs = {
                d: describe(replace(like, base_width=d), family["size_px"]).cost
                for d in (width - 1, width, width + 1)
                if d > 0
            }
            assert (costs[width].params, costs[width].macs) == (params, macs)
            off = {d: abs(cost.macs - one["cost"][1]) for d, cost in costs.items()}
            assert off[width] == min(off.values())


def test_the_points_are_those_of_the_results(tool: Any) -> None:
    """Errors and costs of the page about the experiments, which is made from the records by another way."""
    text = (ROOT / "docs" / "results.md").read_text()
    studies = list(tool("explorer").studies(tool("explorer").RESULTS))
    assert len(studies) >= 9
    for study in studies:
        for point in study["points"]:
            params, macs = (f"{count / 1e6:.2f}" for count in point["cost"])
            mean, low, high = (f"{value:.2f}" for value in point["error"])
            row = f"| {point['arm']} | `{point['model']}` | {params} | {macs} | "
            rest = [line.removeprefix(row) for line in text.splitlines() if line.startswith(row)]
            assert any(f"{mean}, " in line and f", {point['runs']}, {low} to {high}" in line for line in rest)
        assert f"`{study['command']}`; " in text
        assert study["confidence"] == 95 or f"intervals of {study['confidence']:g} %" in text


def test_the_page_of_the_explorer_has_what_its_script_asks_for() -> None:
    page = (TOOLS / "explorer" / "page.md").read_text()
    script = (TOOLS / "explorer" / "explorer.js").read_text()
    ids = set(re.findall(r'id="([\w-]+)"', page))
    asked = set(re.findall(r'byId\("([\w-]+)"\)', script)) | set(re.findall(r'"(form-\w)":', script))
    assert asked <= ids
    assert not re.findall(r"https?://(?!www\.w3\.org)", page + script)
