"""Mutants as values, and all simple mutations of a module: comparison, arithmetic, constant, boolean."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import PurePath


@dataclass(frozen=True)
class Mutation:
    """One change of a file: `new` in the place of the text `old`, at `start`, or wherever it stands once."""

    file: str
    old: str
    new: str
    start: int | None = None
    line: int | None = None
    code: str = ""
    """The first line of what is changed, in full."""

    @property
    def place(self) -> str:
        """File, and line if it is known."""
        return self.file if self.line is None else f"{self.file}:{self.line}"

    @property
    def text(self) -> str:
        """The change for people."""
        return f"{PurePath(self.file).name}: {' '.join(self.old.split())} -> {' '.join(self.new.split())}"

    def lines(self, source: str) -> range:
        """The lines of the change."""
        start = self.start if self.start is not None else source.index(self.old)
        first = source.count("\n", 0, start) + 1
        return range(first, first + self.old.count("\n") + 1)

    def apply(self, source: str) -> str:
        """The changed source. Raises `SystemExit` if `old` does not stand there, or more than once."""
        if self.start is not None:
            assert source[self.start :].startswith(self.old)
            return source[: self.start] + self.new + source[self.start + len(self.old) :]
        if source.count(self.old) != 1:
            raise SystemExit(
                f"{self.file}: {self.old!r} stands there {source.count(self.old)} times, not once"
            )
        return source.replace(self.old, self.new)


@dataclass(frozen=True)
class Mutant:
    """A mutation with a name, of a room, and the tests that should notice it. `is_quick`: in seconds."""

    name: str
    room: str
    mutation: Mutation
    tests: tuple[str, ...]
    is_quick: bool = True


_OTHER: dict[type, type] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.USub: ast.UAdd,
}


def find_mutations(source: str, file: str) -> list[Mutation]:
    """All simple mutations of a module, in order.

    Left alone are what is no computation or shows only to people: annotations, decorators, messages of
    errors, f-strings, assertions, strings; and `strict` and `inplace` of calls.
    """
    lines = source.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))

    def place(line: int, column: int) -> int:
        return starts[line - 1] + len(lines[line - 1].encode()[:column].decode())

    found = []
    for node in _computations(ast.parse(source)):
        changed = _changed(node)
        if changed is not None:
            start, end = place(node.lineno, node.col_offset), place(node.end_lineno, node.end_col_offset)
            code = lines[node.lineno - 1].strip()
            found.append(
                Mutation(file, source[start:end], f"({ast.unparse(changed)})", start, node.lineno, code)
            )
    return found


def _computations(node: ast.AST) -> Iterator[ast.expr]:
    if isinstance(node, ast.JoinedStr | ast.Assert | ast.Raise | ast.Import | ast.ImportFrom):
        return
    if isinstance(node, ast.keyword) and node.arg in ("strict", "inplace"):
        return
    if isinstance(node, ast.expr):
        yield node
    hidden = {"annotation", "returns", "decorator_list", "bases"}
    for name, value in ast.iter_fields(node):
        if name not in hidden:
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST) and not _is_type(child):
                    yield from _computations(child)


def _is_type(node: ast.AST) -> bool:
    """Whether a node is the definition of a type, such as `Literal["a"]` or `Callable[[int], str]`."""
    return isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id[0].isupper()


def _changed(node: ast.expr) -> ast.expr | None:
    """The mutated expression; None if there is none."""
    new = deepcopy(node)
    if isinstance(new, ast.Compare) and type(new.ops[0]) in _OTHER:
        new.ops[0] = _OTHER[type(new.ops[0])]()
    elif isinstance(new, ast.BinOp | ast.BoolOp | ast.UnaryOp) and type(new.op) in _OTHER:
        new.op = _OTHER[type(new.op)]()
    elif isinstance(new, ast.UnaryOp) and isinstance(new.op, ast.Not):
        return new.operand
    elif isinstance(new, ast.Constant) and isinstance(new.value, bool):
        new.value = not new.value
    elif isinstance(new, ast.Constant) and isinstance(new.value, int | float):
        more = new.value + 1
        new.value = more if more != new.value else 2 * new.value  # 1e30 + 1 is 1e30
    else:
        return None
    return new
