"""Files of the plant: tables in, model files out."""
