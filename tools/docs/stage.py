"""Put all pages of the documentation site into one folder: `make docs` builds the site from it.

The pages of docs/ as they are, the change log and the guide for contributors, and the pages that are made
from the program: commands, recipes, public names, and the data of the explorer.
"""

from __future__ import annotations

import inspect
import re
import shutil
import sys
from pathlib import Path

import explorer
import reference
import verbs

from resnext.recipe import RECIPES

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
#: Files that lie beside docs/, and their names in the site.
BESIDE = {"CHANGELOG.md": "changes.md", "CONTRIBUTING.md": "contributing.md"}
#: Files that lie here, and their names in the site.
HERE_TOO = {
    "site.css": "site.css",
    "explorer/page.md": "explorer.md",
    "explorer/drawing.js": "explorer/drawing.js",
    "explorer/explorer.js": "explorer/explorer.js",
}
#: What takes a minute to compute, and its name in the site.
COMPUTED = {"explorer/data.js": explorer.script}


def made() -> dict[str, str]:
    """The pages that are made from the program, by their path in the site."""
    pages = {f"reference/{name}": text for name, text in reference.pages().items()}
    return {"reference/commands.md": verbs.page(), "reference/recipes.md": recipes()} | pages


def recipes() -> str:
    """The page about the recipes: what `resnext recipes` prints."""
    parts = [f"## {name}\n\n{inspect.getdoc(recipe)}\n" for name, recipe in RECIPES.items()]
    return "\n".join(
        [
            "# Recipes\n",
            "`resnext recipes` prints the same, `resnext recipes NAME` all settings for `--config`.\n",
            *parts,
        ]
    )


def moved() -> dict[str, str]:
    """The files that lie elsewhere than in docs/, the links of those in the root as from inside it."""
    beside = {name: inside((ROOT / path).read_text("utf-8")) for path, name in BESIDE.items()}
    return beside | {name: (HERE / path).read_text("utf-8") for path, name in HERE_TOO.items()}


def inside(text: str) -> str:
    """`text` of the root of the repository with its links as from inside docs/."""
    for path, name in BESIDE.items():
        text = text.replace(f"]({path}", f"]({name}")
    return re.sub(r"\]\(docs/", "](", text)


def stage(folder: Path) -> None:
    """Write the pages of the site to `folder`, in place of what lies there."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT / "docs", folder)
    texts = made() | moved() | {name: compute() for name, compute in COMPUTED.items()}
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


if __name__ == "__main__":
    stage(Path(sys.argv[1]))
