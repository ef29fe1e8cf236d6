"""``python -m dawnchorus``."""

import sys

from dawnchorus.cli.app import main

sys.exit(main())
