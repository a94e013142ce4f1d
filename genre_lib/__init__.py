"""Music-genre prediction and fine-tuning: from a folder of music to a served model.

Import the module that defines what you need, for example ``from genre_lib.inference import Predictor``.
"""

__version__ = "0.1.0"
