"""Augurium: from a trained model to a prediction service."""

__version__ = "0.1.0"
