"""spritebuild: make for sprites. The engine: graphs, keys, files and locks; no pixels and no torch."""

__version__ = "0.1.0"
