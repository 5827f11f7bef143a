"""The networks in plain PyTorch: the definition that every faster path is compared with."""
