"""Another scanner or sequence without labels: from registered pairs of images the network learns to see in one what it saw in the other."""
