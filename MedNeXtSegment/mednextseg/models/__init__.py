"""Models as packages: their cards and weights, the library they are installed in, and importers from other programs."""
