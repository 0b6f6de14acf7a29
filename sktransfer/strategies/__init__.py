"""What may change during a fit. A strategy answers questions and knows no training loop.

Each question has a neutral answer, so that strategies combine with ``&`` and the neutral strategy is full fine-tuning.
`base` lists the questions; every other file is one strategy.
"""
