"""Training of the network that completes whole objects: from volumes with labels, label maps and random shapes to a package."""
