"""From a fitted network to outputs: numpy or torch, and how far rows lie outside the training range."""
