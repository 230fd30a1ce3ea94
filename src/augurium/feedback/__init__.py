"""Feedback: what became of predictions, as it is read, journalled, and kept in segments."""
