"""Torch networks and heads, and how a file names them."""
