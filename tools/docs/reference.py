"""The reference of the public names of Python: which there are, and on which page each stands.

The text comes from the docstrings; mkdocstrings reads them where `::: NAME` stands.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import resnext
from resnext import bench, design, experiments, serve

#: Packages whose `__all__` is public as well.
PACKAGES = (design, bench, experiments, serve)


def public() -> dict[str, Any]:
    """Every public object by its full name, such as `resnext.train`, in the order of `__all__`.

    Packages and the version are left out.
    """
    modules = {module.__name__: module for module in (resnext, *PACKAGES)}
    names = [f"{place}.{name}" for place, module in modules.items() for name in module.__all__]
    found = {name: getattr(modules[name.rpartition(".")[0]], name.rpartition(".")[2]) for name in names}
    return {name: one for name, one in found.items() if not (inspect.ismodule(one) or isinstance(one, str))}


def pages() -> dict[str, str]:
    """The pages in Markdown by their file names."""
    return {
        "python.md": _page(
            "Functions",
            "What `import resnext` gives: `resnext.train` and the others do what the\n"
            "[commands](commands.md) of the same name do.",
            lambda name, one: _is_of(resnext, name) and inspect.isfunction(one),
        ),
        "classes.md": _page(
            "Classes",
            "What the functions take and return.",
            lambda name, one: _is_of(resnext, name) and inspect.isclass(one) and not _is_error(one),
        ),
        "errors.md": _page(
            "Errors",
            "Every error that is raised on purpose is a `resnext.ResnextError`; `exit_code` is what the\n"
            "[command line](commands.md#exit-codes) ends with.",
            lambda name, one: _is_error(one),
        ),
        **{
            f"{module.__name__.rpartition('.')[2]}.md": _page(
                f"resnext.{module.__name__.rpartition('.')[2]}",
                (module.__doc__ or "").partition("\n")[0],
                lambda name, one, module=module: _is_of(module, name) and not _is_error(one),
            )
            for module in PACKAGES
        },
    }


def _is_of(module: Any, name: str) -> bool:
    return name.rpartition(".")[0] == module.__name__


def _is_error(one: Any) -> bool:
    return inspect.isclass(one) and issubclass(one, BaseException)


def _page(title: str, text: str, holds: Callable[[str, Any], bool]) -> str:
    seen: dict[int, str] = {}
    for name, one in public().items():
        if holds(name, one):
            seen.setdefault(id(one), name)
    entries = "\n\n".join(f"::: {name}" for name in seen.values())
    return f"# {title}\n\n{text}\n\n{entries}\n"


if __name__ == "__main__":
    print(*pages().values(), sep="\n")
