"""From a fitted network to outputs.

::

    checked X --> known layers, CPU: numpy, without torch --\
                                                             > outputs --> confidence lowered out of range
              --> other layers, CUDA: torch, in chunks -----/
"""
