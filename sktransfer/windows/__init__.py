"""Recordings cut into windows."""
