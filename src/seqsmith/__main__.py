"""`python -m seqsmith` is the command `seqsmith`."""

from seqsmith.cli.main import main

main()
