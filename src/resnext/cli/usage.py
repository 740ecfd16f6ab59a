"""Options that do not go together, or not at all."""


class UsageError(Exception):
    """Options that cannot be met as they were typed; the message names them and what to type."""


def check_positive(options: object, *names: str) -> None:
    """Raises `UsageError` where one of these is given and is less than 1."""
    for name in names:
        value = getattr(options, name)
        if value is not None and value < 1:
            raise UsageError(f"--{name.replace('_', '-')} {value}: must be at least 1")
