"""Source and target rows brought together: losses that align their features, maps between them, guards.

::

    source features --+
                      +--> Alignment.loss --> added to the loss of the labels, in training
    target features --+
    source rows, target rows --> SubspaceAlignment, CORAL, OTMapping --> rows for any estimator
"""
