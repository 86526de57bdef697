"""`python -m spritebuild`."""

from spritebuild.cli import main

main()
