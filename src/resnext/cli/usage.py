"""`UsageError`: options that do not go together."""


class UsageError(Exception):
    """Options that cannot be met as they were typed; the message names them and what to type."""
