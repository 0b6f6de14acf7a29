"""Small data that are installed with the package, so that its examples run anywhere. Nothing is downloaded."""
