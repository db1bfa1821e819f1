"""Results to their destinations, for as long as it takes, each exactly once."""
