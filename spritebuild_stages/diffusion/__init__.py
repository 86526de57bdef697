"""Models that make images: what they are made of, how they are loaded, looked at and called."""
