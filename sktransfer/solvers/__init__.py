"""Convex problems of a linear head, in numpy and scipy alone.

::

    features, labels, source head --> rows' own directions --> logistic or ridge, for each alpha
                                  --> alpha chosen by the labels --> weights and bias --> temperature
"""
