"""The law of the house: an import goes to a lower floor or stays in its own room."""

from __future__ import annotations

import ast
import itertools
import re
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "resnext"
BY_FLOOR = {
    7: "cli",
    6: "api serve",
    5: "reporting export design experiments",
    4: "run bench",
    3: "recipe results engine",
    2: "cost roofline weights accelerate",
    1: "models kernels data training timing metrics machine",
    0: "arch contract",
}
FLOORS = {room: floor for floor, rooms in BY_FLOOR.items() for room in rooms.split()}
#: The package's own doors: they open these rooms alone, and the version may be read from every floor.
DOORS = ("__init__", "__main__")
BEHIND_THE_DOORS = ("api", "cli")
#: Modules that help and settings need at once: the standard library and each other, nothing more.
#: `recipe` holds the settings of two lower rooms, whose own `__init__` therefore imports nothing.
LIGHT = (
    *("arch.py", "contract.py", "recipe/__init__.py", "recipe/fields.py", "recipe/presets.py"),
    *("data/settings.py", "training/settings.py"),
)
#: What a light module may import besides, inside a function and so only when it is called.
LATE = {"recipe/fields.py": {"tomli_w"}}


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
        return [f"{room} imports {m}" for m in imports(source) if room_of(m) not in BEHIND_THE_DOORS]
    return [
        f"{room} imports {module}"
        for module in imports(source)
        if room_of(module) != room and FLOORS.get(room_of(module), 99) >= FLOORS[room]
    ]


def test_the_readme_draws_the_house_that_stands() -> None:
    drawn = {}
    for line in (SOURCE.parents[1] / "README.md").read_text().splitlines():
        if line.startswith("floor "):
            floor, *columns = re.split(r"  +", line)  # rooms, then what is in them
            drawn[int(floor.split()[1])] = set(itertools.takewhile(FLOORS.__contains__, columns))
    standing = {path.relative_to(SOURCE).parts[0].removesuffix(".py") for path in SOURCE.rglob("*.py")}
    assert drawn == {floor: set(rooms.split()) & standing for floor, rooms in BY_FLOOR.items()}


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
        ("recipe", "if True:\n    from resnext import results, arch"),
        ("__init__", "def f():\n    from resnext.weights import fill"),
    ],
)
def test_the_law_can_be_broken(room: str, source: str) -> None:
    assert offences(room, source)


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("models", "from resnext.arch import Architecture\nfrom resnext.models.blocks import TRANSFORMS"),
        ("recipe", "from resnext.data.settings import DataSettings"),
        ("contract", "def f():\n    from resnext import __version__"),
        ("__init__", "from resnext import api"),
        ("arch", "import numpy"),  # not the business of this law
    ],
)
def test_the_law_can_be_kept(room: str, source: str) -> None:
    assert offences(room, source) == []


def heavy(name: str, source: str) -> list[str]:
    """Imports of the light module `name` that are neither light nor of the standard library."""
    tree = ast.parse(source)
    at_once = {id(node) for node in tree.body}
    found = []
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        for module in names:
            top, path = module.split(".")[0], module.replace(".", "/").removeprefix("resnext/") + ".py"
            late = id(node) not in at_once and module in LATE.get(name, ())
            if top not in sys.stdlib_module_names and path not in (*LIGHT, "resnext.py") and not late:
                found.append(module)
    return found


def test_light_modules_need_nothing_but_the_standard_library() -> None:
    assert {name: heavy(name, (SOURCE / name).read_text()) for name in LIGHT} == {n: [] for n in LIGHT}
    for room in ("data", "training"):  # Python runs these before the settings inside
        assert imports((SOURCE / room / "__init__.py").read_text()) == []
    assert heavy("recipe/fields.py", "import tomli_w\nimport torch.nn") == ["tomli_w", "torch.nn"]
    assert heavy("arch.py", "def f():\n    import tomli_w") == ["tomli_w"]
    reading = "from resnext.data.sources import read_split"
    assert heavy("recipe/fields.py", reading) == ["resnext.data.sources"]


def test_help_does_not_load_torch() -> None:
    code = (
        "import sys, resnext.recipe, resnext.cli.verbs; sys.exit(bool({'torch', 'numpy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
