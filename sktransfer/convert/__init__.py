"""Networks of torch and keras as backbones.

::

    torch module --> its layers in the order of their calls --> blocks --\
                                                                          > last linear layer off --> Backbone
    keras file   --> its layers rebuilt in torch, compared --> blocks --/            (kept as its source head)
"""
