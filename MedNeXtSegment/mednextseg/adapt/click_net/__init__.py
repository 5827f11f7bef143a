"""Training and measuring ClickNet, the network that turns prompts into a mask."""
