"""What an image is on the disk, in figures and in words; imports no torch."""
