"""Parameters, random numbers, threads, devices, chunks: what every room may use."""
