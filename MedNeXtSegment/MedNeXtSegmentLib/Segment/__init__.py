"""The Segment tab: from a volume and a model to named segments."""
