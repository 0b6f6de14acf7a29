"""Networks of torch and keras as backbones."""
