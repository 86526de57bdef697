"""How pictures are judged: by their pixels, by a classifier and by its features."""
