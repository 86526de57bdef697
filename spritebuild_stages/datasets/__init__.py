"""How files become a training set; imports no torch but for the captioner."""
