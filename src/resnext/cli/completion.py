"""Scripts by which bash, zsh and fish complete `resnext`: the commands, their options and their choices.

A script is a table of words and needs neither Python nor this package when it runs. Where no word fits, the
shell offers files, which is what most commands take.
"""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Literal

from resnext.cli.command import Command
from resnext.cli.option_names import field_hints, option_names, positional_names, typed_name

#: Words that may stand in the place of a command.
ALONE = ("--help", "--version")


@dataclass(frozen=True)
class Completed:
    """What can be typed after the name of one command.

    Attributes:
        command: Its name.
        about: What it does, in one sentence.
        options: Its options, as `--batch`.
        choices: The values of those options that take one of a few.
        switches: Those that take no value.
        words: What it takes without an option, where that is one of a few.
    """

    command: str
    about: str
    options: tuple[str, ...]
    choices: dict[str, tuple[str, ...]]
    switches: tuple[str, ...]
    words: tuple[str, ...]


def completed(kind: type[Command], more: Sequence[str] = ()) -> Completed:
    """What can be typed after the name of `kind`.

    Args:
        kind: The command.
        more: Options by which another command is chosen, as `--self`.
    """
    own = field_hints(kind)
    hints = dict(_flat(own))
    names = [name for name in option_names(kind) if ".no_" not in name or _is_switch(name, hints)]
    options = (*map(_option, names), *more, "--help")
    choices = {_option(name): values for name, hint in hints.items() if (values := _values(hint))}
    valued = {_option(name) for name, hint in hints.items() if _plain(hint) is not bool}
    return Completed(
        command=kind.name,
        about=" ".join((kind.__doc__ or "").partition("\n\n")[0].split()),
        options=options,
        choices={name: values for name, values in choices.items() if name in options},
        switches=tuple(one for one in options if one not in valued),
        words=tuple(value for name in positional_names(kind) for value in _values(own[name])),
    )


def bash_script(commands: Sequence[Completed]) -> str:
    """The script for bash."""
    first = " ".join([*(one.command for one in commands), *ALONE])
    lines = [
        "# Completes `resnext` in bash, of version 4 or newer:",
        "#   mkdir -p ~/.local/share/bash-completion/completions",
        "#   resnext completion bash > ~/.local/share/bash-completion/completions/resnext",
        "# Without the package bash-completion, source this file in ~/.bashrc instead.",
        "_resnext() {",
        "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words=",
        f"    if (( COMP_CWORD == 1 )); then words='{first}'; else",
        '    case "${COMP_WORDS[1]} $prev $cur" in',
        *(f"        {pattern}) words='{' '.join(words)}' ;;" for pattern, words in _cases(commands)),
        "    esac; fi",
        '    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")',
        "}",
        "complete -o default -F _resnext resnext",
    ]
    return "\n".join(lines) + "\n"


def zsh_script(commands: Sequence[Completed]) -> str:
    """The script for zsh."""
    abouts = [one.about.replace(":", r"\:") for one in commands]
    first = " ".join(_quoted(f"{one.command}:{about}") for one, about in zip(commands, abouts, strict=True))
    lines = [
        "#compdef resnext",
        "# Completes `resnext` in zsh, where ~/.zshrc has `fpath=(~/.zfunc $fpath)` before `compinit`:",
        "#   mkdir -p ~/.zfunc",
        "#   resnext completion zsh > ~/.zfunc/_resnext",
        "_resnext() {",
        "    local cur=${words[CURRENT]} prev=${words[CURRENT-1]}",
        "    local -a offered",
        "    if (( CURRENT == 2 )); then",
        f"        offered=({first})",
        "        _describe command offered",
        f"        [[ $cur != -* ]] || compadd -- {' '.join(ALONE)}",
        "        return",
        "    fi",
        '    case "${words[2]} $prev $cur" in',
        *(f"        {pattern}) offered=({' '.join(words)}) ;;" for pattern, words in _cases(commands)),
        "    esac",
        "    if (( $#offered )); then compadd -- $offered; else _files; fi",
        "}",
        "if [[ $zsh_eval_context[-1] == loadautofunc ]]",
        'then _resnext "$@"',
        "else compdef _resnext resnext",
        "fi",
    ]
    return "\n".join(lines) + "\n"


def fish_script(commands: Sequence[Completed]) -> str:
    """The script for fish."""
    lines = [
        "# Completes `resnext` in fish:",
        "#   mkdir -p ~/.config/fish/completions",
        "#   resnext completion fish > ~/.config/fish/completions/resnext.fish",
    ]
    first = "complete -c resnext -n __fish_use_subcommand"
    lines += [f"{first} -f -a {one.command} -d {_quoted(one.about)}" for one in commands]
    lines += [f"{first} -f -l {one.strip('-')}" for one in ALONE]
    for one in commands:
        after = f"complete -c resnext -n '__fish_seen_subcommand_from {one.command}'"
        if one.words:
            lines.append(f"{after} -a '{' '.join(one.words)}'")
        for option in one.options:
            name = f"{after} -l {option.strip('-')}"
            if option in one.choices:
                lines.append(f"{name} -x -a '{' '.join(one.choices[option])}'")
            else:
                lines.append(name if option in one.switches else f"{name} -r")
    return "\n".join(lines) + "\n"


#: What writes the script for a shell.
SCRIPTS: dict[str, Callable[[Sequence[Completed]], str]] = {
    "bash": bash_script,
    "zsh": zsh_script,
    "fish": fish_script,
}


def _cases(commands: Sequence[Completed]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Patterns of "COMMAND PREVIOUS CURRENT" and the words that go on there; the first match counts."""
    for one in commands:
        by_values: dict[tuple[str, ...], list[str]] = {}
        for option, values in one.choices.items():
            by_values.setdefault(values, []).append(option)
        for values, options in by_values.items():
            yield "|".join(f"'{one.command} {option} '*" for option in options), values
        yield f"'{one.command} '*' -'*", one.options
        if one.words:
            yield f"'{one.command} {one.command} '*", one.words


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _quoted(text: str) -> str:
    """`text` in single quotes, as all three shells read it."""
    return "'" + text.replace("'", "’") + "'"


def _flat(hints: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The fields and their types, those of settings by dotted names and those of options by their own."""
    for field, hint in hints.items():
        plain = _plain(hint)
        name = typed_name(field, hint)
        if is_dataclass(plain):
            every = typing.get_type_hints(plain, include_extras=True)
            inner = {one.name: every[one.name] for one in fields(plain)}
            is_top = not prefix and field in ("settings", "options")
            yield from _flat(inner, prefix if is_top else f"{prefix}{name}.")
        else:
            yield prefix + name, hint


def _is_switch(name: str, hints: dict[str, Any]) -> bool:
    """Whether a name with `no_` is typed: whether the setting is on or off."""
    return _plain(hints.get(name.replace(".no_", ".").lstrip("."))) is bool


def _plain(hint: Any) -> Any:
    """A type without its marks."""
    return typing.get_args(hint)[0] if typing.get_origin(hint) is typing.Annotated else hint


def _values(hint: Any) -> tuple[str, ...]:
    """The values of an option that takes one of a few: those of a `Literal`, or that the help lists."""
    listed = [getattr(mark, "metavar", None) or "" for mark in getattr(hint, "__metadata__", ())]
    if named := next((one for one in listed if re.fullmatch(r"[a-z-]+(\|[a-z-]+)+", one)), ""):
        return tuple(named.split("|"))
    hint = _plain(hint)
    if typing.get_origin(hint) is Literal:
        return tuple(map(str, typing.get_args(hint)))
    if typing.get_origin(hint) in (typing.Union, types.UnionType, tuple):
        return next((values for inner in typing.get_args(hint) if (values := _values(inner))), ())
    return ()
