"""The law of the house: an import goes to a lower floor or stays in its own room."""

from __future__ import annotations

import ast
import importlib
import itertools
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import resnext
from resnext.errors import EXIT_CODES, ResnextWarning

SOURCE = Path(__file__).parents[1] / "src" / "resnext"
BY_FLOOR = {
    9: "cli ray",
    8: "api experiments",
    7: "reporting design display export serve",
    6: "run bench doctor",
    5: "engine",
    4: "recipe cost roofline weights timm_models confidence installation",
    3: "models data training timing metrics machine catalogue",
    2: "arch contract records statistics",
    1: "errors parsing",
    0: "version progress names files",
}
FLOORS = {room: floor for floor, rooms in BY_FLOOR.items() for room in rooms.split()}
#: The package's own doors, and the rooms that each imports at once.
DOORS = {"__init__": ("version",), "__main__": ("cli",)}
#: Modules that help and settings need at once: the standard library and each other, nothing more.
#: `recipe` holds the settings of two lower rooms, whose own `__init__` therefore imports nothing.
LIGHT = (
    *("contract.py", "errors.py", "progress.py", "version.py", "parsing.py", "names.py", "files.py"),
    "records.py",
    *("data/settings.py", "training/settings.py"),
    *(
        path.relative_to(SOURCE).as_posix()
        for room in ("arch", "recipe")
        for path in (SOURCE / room).glob("*.py")
    ),
)
#: What a light module may import besides, inside a function and so only when it is called.
LATE = {"recipe/fields.py": {"tomli_w"}}


def room_of(module: str) -> str:
    return module.split(".")[1] if "." in module else "__init__"


def imports(source: str, for_types: bool = True) -> list[str]:
    """Modules of this package that `source` imports, inside functions too; with or without those that only
    type checkers see."""
    tree = ast.parse(source)
    if not for_types:
        tree = OnlyAtRunTime().visit(tree)
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level:
            found.append("resnext.relative")  # not used here: it would hide the room
        elif isinstance(node, ast.ImportFrom) and node.module == "resnext":
            found += [f"resnext.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.append(node.module)
    return [name for name in found if name.split(".")[0] == "resnext" and "." in name]


class OnlyAtRunTime(ast.NodeTransformer):
    """Removes `if TYPE_CHECKING:`."""

    def visit_If(self, node: ast.If) -> ast.AST | None:
        is_for_types = isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        return None if is_for_types else self.generic_visit(node)


def offences(room: str, source: str) -> list[str]:
    if room in DOORS:
        opened = imports(source, for_types=False)
        return [f"{room} imports {module}" for module in opened if room_of(module) not in DOORS[room]]
    return [
        f"{room} imports {module}"
        for module in imports(source)
        if room_of(module) != room and FLOORS.get(room_of(module), 99) >= FLOORS[room]
    ]


def test_the_docs_draw_the_house_that_stands() -> None:
    drawn = {}
    for line in (SOURCE.parents[1] / "docs" / "architecture.md").read_text().splitlines():
        if line.startswith("floor "):
            floor, *columns = re.split(r"  +", line)  # rooms, then what is in them
            drawn[int(floor.split()[1])] = set(itertools.takewhile(FLOORS.__contains__, columns))
    assert drawn == {floor: set(rooms.split()) for floor, rooms in BY_FLOOR.items()}


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
        ("models", "from resnext.data.loaders import Plan"),
        ("cost", "import resnext.weights"),
        ("arch", "def f():\n    from resnext import api"),
        ("run", "from resnext.cli import main"),
        ("data", "from .decode import decode"),
        ("data", "from resnext.utils import anything"),
        ("recipe", "if True:\n    from resnext import results, arch"),
        ("__init__", "def f():\n    from resnext.weights import fill"),
        ("__init__", "from resnext import api"),
        ("__main__", "from resnext.api import train"),
        ("contract", "def f():\n    from resnext import __version__"),
    ],
)
def test_the_law_can_be_broken(room: str, source: str) -> None:
    assert offences(room, source)


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("models", "from resnext.arch import Architecture\nfrom resnext.models.blocks import BLOCKS"),
        ("recipe", "from resnext.data.settings import DataSettings"),
        ("contract", "from resnext.version import __version__"),
        ("__init__", "if TYPE_CHECKING:\n    from resnext.api import train"),
        ("arch", "import numpy"),  # not the business of this law
    ],
)
def test_the_law_can_be_kept(room: str, source: str) -> None:
    assert offences(room, source) == []


#: Calls that open the file at a path. Those of other libraries do it themselves, and wait for a pipe.
OTHERS_OPEN = {"safe_open", "ParquetFile", "read_schema", "read_table", "memory_map"}
#: What is opened at places that nobody else chooses: null devices, files of the package and of the system,
#: and such as have just been written.
OPENED_FREELY = (
    *("cli/main.py", "cli/screen.py", "machine.py"),
    *("catalogue/entries.py", "catalogue/imagenet.py", "export/openvino_format.py", "serve/page_route.py"),
)


def opened_unseen(source: str) -> list[str]:
    """Calls that may wait for a pipe: no `opener` says that it must be an ordinary file, and nothing in the
    same function checks it."""
    found = []
    for function in ast.walk(ast.parse(source)):
        if isinstance(function, ast.FunctionDef):
            calls = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
            is_checked = any(called(call) == "check_ordinary" for call in calls)
            found += [called(call) for call in calls if opens_unseen(call, is_checked)]
    return found


def called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def opens_unseen(call: ast.Call, is_checked: bool) -> bool:
    name, is_method = called(call), isinstance(call.func, ast.Attribute)
    of_library = is_method and getattr(call.func.value, "id", "")  # type: ignore[attr-defined]
    if name == "open" and not is_method:
        return not any(keyword.arg == "opener" for keyword in call.keywords)
    if (name in ("read_table", "read_schema") and of_library != "pq") or (
        name == "load" and of_library != "np"
    ):
        return False
    if name == "load":  # of what lies in memory, or of a file
        return not (is_checked or (call.args and isinstance(call.args[0], ast.Call)))
    if name in ("read_text", "read_bytes"):  # of a path; others have the path as an argument
        return is_method and not [arg for arg in call.args if not isinstance(arg, ast.Constant)]
    return name in OTHERS_OPEN and not is_checked


def test_nothing_that_may_be_a_pipe_is_opened() -> None:
    paths = {path.relative_to(SOURCE).as_posix(): path for path in SOURCE.rglob("*.py")}
    found = {name: opened_unseen(path.read_text()) for name, path in paths.items()}
    assert {name: calls for name, calls in found.items() if calls and name not in OPENED_FREELY} == {}


CHECKED = "check_ordinary(path), "


@pytest.mark.parametrize(
    ("bad", "good"),
    [
        ("open(path)", "open(path, opener=ordinary)"),
        ("path.read_text('utf-8')", "read_text(path)"),
        ("path.read_bytes()", "images.read_bytes(index)"),
        ("pq.read_table(path)", CHECKED + "pq.read_table(path)"),
        ("pq.read_table(path)", "read_table(path)"),
        ("safe_open(path)", CHECKED + "safe_open(path)"),
        ("np.load(path)", CHECKED + "np.load(path)"),
        ("np.load(path)", "np.load(io.BytesIO(content))"),
    ],
)
def test_what_opens_a_pipe_is_found(bad: str, good: str) -> None:
    assert opened_unseen(f"def f():\n    with g({bad}):\n        pass")
    assert opened_unseen(f"def f():\n    return {good}") == []


#: Libraries that send reports when they are imported, unless `import_library` does it.
REPORTING = {"nncf", "onnxruntime", "openvino"}


def imported(source: str) -> set[str]:
    """The libraries that import statements of `source` name."""
    nodes = list(ast.walk(ast.parse(source)))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    return {name.partition(".")[0] for name in names}


def test_libraries_that_report_are_imported_in_one_place() -> None:
    found = {path.name: imported(path.read_text()) & REPORTING for path in SOURCE.rglob("*.py")}
    assert {name: libraries for name, libraries in found.items() if libraries} == {}
    assert imported("def f():\n    import nncf.x as y\n    from openvino import z") == {"nncf", "openvino"}


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
            package = path.removesuffix(".py") + "/__init__.py"
            if top not in sys.stdlib_module_names and not {path, package} & set(LIGHT) and not late:
                found.append(module)
    return found


def test_light_modules_need_nothing_but_the_standard_library() -> None:
    assert {name: heavy(name, (SOURCE / name).read_text()) for name in LIGHT} == {n: [] for n in LIGHT}
    for room in ("data", "training"):  # Python runs these before the settings inside
        assert imports((SOURCE / room / "__init__.py").read_text()) == []
    assert heavy("recipe/fields.py", "import tomli_w\nimport torch.nn") == ["tomli_w", "torch.nn"]
    assert heavy("contract.py", "def f():\n    import tomli_w") == ["tomli_w"]
    reading = "from resnext.data.sources import read_split"
    assert heavy("recipe/fields.py", reading) == ["resnext.data.sources"]


def test_the_docs_list_the_light_modules() -> None:
    text = (SOURCE.parents[1] / "docs" / "architecture.md").read_text()
    listed = text.partition("**Light modules.**")[2].partition(" So ")[2].partition(" import ")[0]
    assert set(re.findall(r"`([\w/]+)`", listed)) == {*map(_room_or_settings, LIGHT)}


def _room_or_settings(path: str) -> str:
    """The room of a light module, but for the settings of a room that is not light."""
    return (
        path.removesuffix(".py") if path.endswith("/settings.py") else path.split("/")[0].removesuffix(".py")
    )


def modules_after(code: str) -> set[str]:
    """The modules that a fresh interpreter has loaded after `code`, which prints nothing."""
    code = f"import contextlib, os, sys\n{code}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_help_does_not_load_torch() -> None:
    code = (
        "from resnext.cli import main\n"
        "with open(os.devnull, 'w') as nowhere, contextlib.redirect_stdout(nowhere):\n"
        "    assert main(['--help']) == main(['train', '--help']) == main(['recipes', 'small']) == 0"
    )
    assert not {"torch", "numpy", "matplotlib", "pyarrow"} & modules_after(code)


def test_what_draws_nothing_does_not_load_matplotlib() -> None:
    code = (
        "import resnext.api, resnext.experiments, resnext.cli.commands.evaluate, resnext.cli.commands.predict"
    )
    loaded = modules_after(code)
    assert "resnext.reporting.report" in loaded
    assert "matplotlib" not in loaded


def test_the_import_of_the_package_loads_next_to_nothing() -> None:
    """It is to take less than 0.2 s, and `--help` less than 1 s. Counted, since a busy machine is slow."""
    plain = modules_after("")
    assert len(modules_after("import resnext") - plain) < 40  # `importlib` and `typing` bring some
    helped = modules_after(
        "from resnext.cli import main\n"
        "with open(os.devnull, 'w') as nowhere, contextlib.redirect_stdout(nowhere):\n"
        "    assert main(['--help']) == 0"
    )
    others = {name.partition(".")[0] for name in helped - plain} - sys.stdlib_module_names
    of_tyro = {"tyro", "docstring_parser", "typing_extensions", "typeguard", "rich", "markdown_it", "mdurl"}
    assert others <= {"resnext", "__mp_main__", "pygments", "shtab"} | of_tyro


def test_the_package_imports_what_it_exports_on_first_use() -> None:
    loaded = modules_after("import resnext")
    assert {name for name in loaded if name.split(".")[0] == "resnext"} == {"resnext", "resnext.version"}
    assert resnext.create("resnet11+template=8", classes=2).arch.classes == 2
    assert resnext.design.DesignSpace is resnext.design.DesignSpace
    for name in resnext.__all__:
        assert getattr(resnext, name) is not None
        assert name in dir(resnext)
    with pytest.raises(AttributeError, match="no attribute 'creat'"):
        resnext.creat  # noqa: B018


def test_type_checkers_see_the_names_that_are_exported() -> None:
    checked = ast.parse((SOURCE / "__init__.py").read_text())
    seen = {
        alias.asname or alias.name: node.module
        for block in checked.body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert set(seen) == set(resnext.__all__) - {"__version__"}
    for name, module in seen.items():
        if module != "resnext":
            assert getattr(resnext, name) is getattr(importlib.import_module(str(module)), name)


def classes() -> Iterator[tuple[str, str]]:
    """The module-level classes of the package: name and module."""
    for path in sorted(SOURCE.rglob("*.py")):
        module = ".".join(("resnext", *path.relative_to(SOURCE).with_suffix("").parts))
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef):
                yield node.name, module.removesuffix(".__init__")


def test_no_class_name_stands_twice() -> None:
    where: dict[str, list[str]] = {}
    for name, module in classes():
        where.setdefault(name, []).append(module)
    assert {name: modules for name, modules in where.items() if len(modules) > 1} == {}


def test_every_error_is_a_resnext_error_with_a_documented_exit_code() -> None:
    raised = {
        name: kind
        for name, module in classes()
        if issubclass(kind := getattr(importlib.import_module(module), name), BaseException)
    }
    warnings = {name: kind for name, kind in raised.items() if issubclass(kind, Warning)}
    assert all(issubclass(kind, ResnextWarning) for kind in warnings.values())
    errors = {name: kind for name, kind in raised.items() if name not in warnings}
    assert len(errors) > 25
    for name, kind in errors.items():
        assert issubclass(kind, resnext.ResnextError), name
        assert kind.exit_code in EXIT_CODES, name
        is_base = bool(kind.__subclasses__()) and kind.exit_code == 1
        assert is_base or kind.exit_code not in (0, 1), name
        assert is_base or getattr(resnext, name) is kind, f"resnext.{name} is missing"
    readme = (SOURCE.parents[1] / "README.md").read_text()
    rows = re.findall(r"^\| (\d+) \| ", readme.partition("## Exit codes")[2].partition("## ")[0], re.M)
    assert [*map(int, rows)] == [*EXIT_CODES]


#: Tests of no single module: of the law, the docs and their examples, and what torch.hub makes.
ABOUT_ALL = {
    "test_pins.py",
    "test_house.py",
    "test_docs.py",
    "test_site.py",
    "test_examples.py",
    "models/test_extending.py",
    "test_hubconf.py",
}


def test_tests_mirror_the_package_by_name() -> None:
    """`tests/run/test_setup.py` tests `run/setup.py`. Faults, oracles and what is no part of the package, as
    its tools, have folders of their own."""
    tests = Path(__file__).parent
    names = {
        path.relative_to(tests).as_posix(): path.stem.removeprefix("test_")
        for path in tests.rglob("test_*.py")
    }
    strangers = [
        name
        for name, module in names.items()
        if not name.startswith(("faults/", "oracles/", "tools/", "examples/", "typing/"))
        and name not in ABOUT_ALL
        and not (SOURCE / name).with_name(f"{module}.py").exists()
        and not (SOURCE / name).with_name(module).is_dir()
    ]
    assert strangers == []
