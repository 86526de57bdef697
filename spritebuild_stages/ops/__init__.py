"""Pure functions on RGBA arrays, used by finish."""
