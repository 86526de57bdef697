"""`spritebuild`, and `python -m spritebuild`: asks the process that stands by, or else loads the command line."""

from __future__ import annotations

import sys

from spritebuild import standby

TYPE_CHECKING = False  # as typing's, which takes time to load
if TYPE_CHECKING:
    from typing import NoReturn


def main() -> NoReturn:
    """Run what the command line says; never returns."""
    arguments = sys.argv[1:]
    try:
        code = standby.ask(arguments)
    except KeyboardInterrupt:
        sys.exit(130)  # nothing has begun
    except Exception as error:
        from spritebuild import cli
        from spritebuild.errors import SpritebuildError

        if not isinstance(error, SpritebuildError):
            raise
        sys.exit(cli.report(error, arguments))
    if code is None:
        from spritebuild import cli

        cli.main(arguments)
    sys.exit(code)


if __name__ == "__main__":
    main()
