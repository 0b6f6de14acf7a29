"""Whether transfer pays on the rows at hand, and from which backbone, before anything is deployed.

::

    backbones, a few labelled rows --> frozen features --> leave-one-out ridge, LogME, H-score --> a ranking
"""
