"""Parameters, random numbers, threads, devices, chunks: for use in every folder."""
