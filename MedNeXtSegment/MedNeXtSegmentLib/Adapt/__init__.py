"""Adapt: a model learns the cases of the scene."""
