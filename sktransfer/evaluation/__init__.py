"""Does transfer pay? Estimators beside the plain alternatives on the same labelled rows, and the answer in words.

::

    estimator, X, y --> the same draws of labelled rows for all methods --> scores --> intervals --> a verdict
"""
