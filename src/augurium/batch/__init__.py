"""Batch inference: jobs that score the rows of files, partition by partition."""
