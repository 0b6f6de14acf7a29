"""Recordings cut into windows.

::

    arrays, frames, one long frame --> recordings --> order, repeats, gaps, rate --> segments
                                   --> windows (n_windows, n_channels, length), labels, groups

A window bridges no gap and mixes no two recordings. Rate, time, speed and fault orders travel with the windows.
"""
