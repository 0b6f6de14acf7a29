"""From checked rows to a trained network: rows, tasks, the start of a fit, its plan, its epochs."""
