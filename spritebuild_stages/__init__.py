"""What a build can run: one file a stage, none imports another. Files that begin with _ are shared by stages."""
