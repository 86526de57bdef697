"""spritebuild: make for sprites. The engine: graphs, keys, files and locks; no pixels and no torch."""

import os

__version__ = "0.1.0"

# What a spritefile may say is not for other installed packages to change; and to look for such plugins takes as long as
# to read the metadata of every one of them.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
