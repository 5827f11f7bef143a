"""The start of an automatic run: checks, resampling and normalization of the volume."""
