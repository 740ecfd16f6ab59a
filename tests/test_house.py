"""The law of the house: an import goes to a lower floor or stays in its own room."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "resnext"
FLOORS = {
    "cli": 7,
    "api": 6,
    "run": 4,
    "recipe": 3,
    "results": 3,
    "engine": 3,
    "cost": 2,
    "weights": 2,
    "models": 1,
    "data": 1,
    "training": 1,
    "metrics": 1,
    "arch": 0,
    "contract": 0,
}
#: The package's own door: it may open any room, and its version may be read from every floor.
DOORS = ("__init__", "__main__")
#: Modules that help and settings need at once: nothing but the standard library.
LIGHT = ("arch.py", "contract.py", "recipe.py", "data/settings.py", "training/settings.py")


def room_of(module: str) -> str:
    return module.split(".")[1] if "." in module else "__init__"


def imports(source: str) -> list[str]:
    """Modules of this package that `source` imports, inside functions too."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level:
            found.append("resnext.relative")  # not used here: it would hide the room
        elif isinstance(node, ast.ImportFrom) and node.module == "resnext":
            found += [f"resnext.{alias.name}" for alias in node.names if alias.name != "__version__"]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.append(node.module)
    return [name for name in found if name.split(".")[0] == "resnext" and "." in name]


def offences(room: str, source: str) -> list[str]:
    if room in DOORS:
        return []
    return [
        f"{room} imports {module}"
        for module in imports(source)
        if room_of(module) != room and FLOORS.get(room_of(module), 99) >= FLOORS[room]
    ]


def test_no_import_goes_up_or_next_door() -> None:
    found = []
    for path in SOURCE.rglob("*.py"):
        room = path.relative_to(SOURCE).parts[0].removesuffix(".py")
        assert room in FLOORS or room in DOORS, f"{room} stands on no floor"
        found += offences(room, path.read_text())
    assert found == []


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("models", "from resnext.data.batches import Plan"),
        ("cost", "import resnext.weights"),
        ("arch", "def f():\n    from resnext import api"),
        ("run", "from resnext.cli import main"),
        ("data", "from .decode import decode"),
        ("data", "from resnext.utils import anything"),
    ],
)
def test_the_law_can_be_broken(room: str, source: str) -> None:
    assert offences(room, source)


def test_light_modules_need_nothing_but_the_standard_library() -> None:
    for name in LIGHT:
        tree = ast.parse((SOURCE / name).read_text())
        for node in tree.body:
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            for module in names:
                top = module.split(".")[0]
                assert top in sys.stdlib_module_names or top == "resnext", f"{name} imports {module}"


def test_help_does_not_load_torch() -> None:
    code = (
        "import sys, resnext.recipe, resnext.cli.verbs; sys.exit(bool({'torch', 'numpy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
