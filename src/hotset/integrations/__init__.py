"""The doors of frameworks: one file, or folder, for each; it imports its framework, nobody else does."""
