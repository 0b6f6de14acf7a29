"""What may change during a fit. A strategy answers questions and knows no training loop."""
