"""A pretrained network, what one must know to use it, and its file."""
