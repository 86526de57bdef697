"""What a build can run: one file a stage, none imports another. What they share is in the packages beside them."""
