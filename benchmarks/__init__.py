"""Measurements behind the defaults and the claims; run them from the root of the repository."""
