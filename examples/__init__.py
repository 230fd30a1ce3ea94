"""What Augurium does, shown on real data: `make demo` and `make serve`."""
