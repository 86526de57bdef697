"""`spritebuild watch`: builds again when something is saved that a build depends on, and shows what became of it."""
