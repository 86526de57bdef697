"""The store that a team shares: what is asked of it, what is brought from it and put there, and where it lies."""
