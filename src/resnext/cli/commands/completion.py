"""`resnext completion`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from tyro.conf import Positional, arg

from resnext.cli.command import Command
from resnext.cli.screen import say_text


@dataclass(frozen=True)
class CompletionCommand(Command):
    """Print the script by which a shell completes `resnext`; how to install it stands at its top."""

    name: ClassVar[str] = "completion"

    shell: Annotated[Positional[Literal["bash", "zsh", "fish"]], arg(metavar="bash|zsh|fish")]
    """The shell."""

    def run(self) -> None:
        from resnext.cli.commands import CHOSEN_BY_OPTION, COMMANDS
        from resnext.cli.completion import SCRIPTS, completed

        more = {kind: [option for name, option in CHOSEN_BY_OPTION if name == kind.name] for kind in COMMANDS}
        say_text(SCRIPTS[self.shell]([completed(*one) for one in more.items()]).rstrip("\n"))
