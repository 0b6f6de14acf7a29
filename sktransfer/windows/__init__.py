"""Recordings cut into windows: `SlidingWindows` makes `Windows`, an array that remembers rate, time, speed and orders.

::

    arrays, frames --> recordings.py --> resampling.py --> labels.py           --> X, y, groups
                       Recording         Segment           sliding_windows.py

A window bridges no gap and mixes no two recordings. Rate, time, speed and fault orders travel with the windows.
"""
