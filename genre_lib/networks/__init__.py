"""Networks and front ends in plain PyTorch, and the reading of their folders: all that prediction needs.

``genre_lib.models`` makes transformers' models and feature extractors of them, for training and for ``pipeline``. That
costs seconds of imports, so nothing here imports transformers: the weights, their names and the code are the same.
"""
