"""Searches whose candidates train together; scikit-learn slices, scores and refits."""
