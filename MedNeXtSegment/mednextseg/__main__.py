"""`python -m mednextseg` is the command line."""

import sys

from mednextseg.cli import main

sys.exit(main())
