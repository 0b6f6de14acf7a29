"""Time and memory against what one writes today; `python -m benchmarks.speed`."""
