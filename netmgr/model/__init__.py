"""What should be in every set, and what is there."""
