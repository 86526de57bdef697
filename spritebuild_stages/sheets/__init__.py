"""Frames packed into pages, and the description of where each of them is; knows no game engine."""
