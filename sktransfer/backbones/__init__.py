r"""A pretrained network up to its features, what one must know to use it, and its file.

::

    backbone= (object | path | shipped name | FromScratch | None) --resolved--> Backbone
                                                                                  |
    X --> names, units, rate and shape are compared with Backbone.inputs --> front end --> blocks --> features
                                                                                  |
    save_backbone(Backbone) --> safetensors: tensors, and a header that holds no code --> load_backbone

A backbone is data: it is never trained in place, and clones share it.
"""
