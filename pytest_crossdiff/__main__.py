"""`python -m pytest_crossdiff` is `crossdiff`."""

import sys

from pytest_crossdiff.cli import main

if __name__ == "__main__":
    sys.exit(main())
