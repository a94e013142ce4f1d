"""What a network is computed by: torch or OpenVINO, and in which numbers.

A model's folder holds the network in float32, and every engine is made of that. None changes what is in the folder but
:mod:`genre_lib.engines.report`, which keeps there what was measured.
"""
