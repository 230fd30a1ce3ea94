"""The data plane: router, pipeline, batcher, executors, recorder. Knows no transport."""
