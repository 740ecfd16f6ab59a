"""`python -m resnext`, the same as `resnext`."""

from resnext.cli import main

raise SystemExit(main())
