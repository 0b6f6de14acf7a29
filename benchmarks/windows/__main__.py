"""`python -m benchmarks.windows <data>`."""

from benchmarks.windows.run import main

main()
