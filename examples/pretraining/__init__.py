"""Scripts that make the shipped weights, from simulations alone."""
