"""The durable steps of one study, and the sweep that finds work which is not under way."""
