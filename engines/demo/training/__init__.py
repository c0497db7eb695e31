"""The runs of `train.py`."""
