"""What trains the networks on the phantom, and what evaluates them."""
