"""`python -m augurium.cli`: the command line without its script."""

from augurium.cli.app import main

main()
