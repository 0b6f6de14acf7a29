"""Parameters, random numbers, threads, devices, chunks: small functions that every folder may use."""
