"""Comparisons of an asset with what was agreed about it."""
