"""Torch networks and heads, how they freeze, and how a file names them.

A backbone's network is a class with named blocks; a file holds its registered name and its arguments, never code. The
table of layers describes arguments, bounds and shapes without torch, for files and for prediction in numpy.
"""
