"""Rows that are written once and read by range: Parquet segments by kind, model and hour."""
