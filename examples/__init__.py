"""Examples, each a question with an answer; run them from the root of the repository."""
