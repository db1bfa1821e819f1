"""`python -m node` is the `perfusion-node` command."""

import sys

from node.cli import main

sys.exit(main())
