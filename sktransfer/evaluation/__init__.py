"""Does transfer pay, and from which backbone? Answered on the rows at hand, before anything is deployed.

::

    estimator, X, y --> the same draws of labelled rows for all methods --> scores --> intervals --> a verdict
    backbones, a few labelled rows --> frozen features --> leave-one-out ridge, LogME, H-score --> a ranking
"""
