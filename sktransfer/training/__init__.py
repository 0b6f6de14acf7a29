"""From checked rows to a trained network.

::

    rows, labels --> canonical rows --> task: loss, weights of classes
    backbone     --> copied blocks, and a head that begins where the source ended
    strategy     --> plan: epochs, frozen depth, rates, penalties
                 --> head solved --> epochs, on features of frozen blocks that are computed once --> module

Many fits of one shape are stacked and trained by the same plan.
"""
