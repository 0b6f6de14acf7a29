"""Checks of X and y. Each ends in an array or in a sentence that says what to do about the input.

::

    X --rows or windows?--> float32 or float64, without NaN, infinity and values too large --> warnings of quality
"""
