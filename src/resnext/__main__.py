"""`python -m resnext`."""

from resnext.cli import main

raise SystemExit(main())
