"""The HTTP service: prediction by LitServe, and plain routes beside it, a router for each concept."""
