"""`python -m tallymark`: the command, for when its script is not on the PATH."""

import sys

from tallymark.cli import main

sys.exit(main())
