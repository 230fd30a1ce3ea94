"""How many replicas there should be: pure functions of numbers, for a node and for a cluster."""
