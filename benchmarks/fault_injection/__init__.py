"""Faults of the service under load: their causes, the service that suffers them, and what is told of them."""
