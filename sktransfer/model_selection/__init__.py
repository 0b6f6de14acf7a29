"""Searches whose candidates train together; scikit-learn slices, scores and refits.

::

    candidates x folds --> scikit-learn's loop notes what each fit would train on
                       --> fits of one network shape are stacked and trained as one network, the others alone
                       --> scikit-learn's loop again, with the trained estimators: scores, ranks, refit
"""
