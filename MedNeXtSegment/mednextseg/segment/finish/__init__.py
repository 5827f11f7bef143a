"""The end of an automatic run: from probabilities to a clean labelmap."""
