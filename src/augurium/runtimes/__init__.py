"""Runtimes: load a version and run a batch. One file per engine."""
