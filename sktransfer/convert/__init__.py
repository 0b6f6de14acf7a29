"""Networks of torch and keras as backbones.

::

    torch module --tracing, torch_functions--> named blocks --source_head--> Backbone, and the head that it had
    keras model  --keras_graph, keras_layers--> named blocks --source_head--> the same
"""
