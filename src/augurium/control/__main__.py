"""`python -m augurium.control CONFIG.json [LIFELINE]`."""

import sys

from augurium.control.process import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
