"""Traffic policies, compiled: which version answers a request, in about a microsecond."""
