"""The review: the slices where the model was least sure, in the order to look at them."""
