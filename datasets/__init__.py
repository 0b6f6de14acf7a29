"""Data sets that come with the source tree (not installed with the package)."""
