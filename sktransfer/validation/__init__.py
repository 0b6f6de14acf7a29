"""Checks of `X` and `y`. Each ends in an array, or in a sentence that says how to mend the input.

Errors are for what cannot be computed: text, missing values, infinities, other shapes. Warnings are for what can be
computed and is probably wrong: sensors that are stuck, sentinels in place of a missing value.
"""
