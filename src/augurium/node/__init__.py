"""One node: the supervisor, the hosts that carry REST and gRPC, and their processes."""
