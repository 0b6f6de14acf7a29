"""The classes that users fit: classifier, regressor, extractor, and scikit-learn's pipeline in chunks."""
