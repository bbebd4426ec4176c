"""`python -m genrec_cli`."""

from genrec_cli.cli import main

raise SystemExit(main())
