"""Convex problems of a linear head, in numpy and scipy alone."""
