"""The classes that users fit: classifier, regressor, extractor, and scikit-learn's pipeline in chunks.

::

    fit(X, y)  --> validation, backbones: check X --> training: head solved, epochs --> module_, backbone_, history_
    predict(X) --> validation, backbones: check X --> inference: outputs            --> labels, probabilities

An estimator holds parameters and what a fit left behind; how a network is trained or computed lies below it.
"""
