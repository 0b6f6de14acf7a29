"""Checks of X and y. Each ends in an array or in a sentence that says how to mend the input."""
