"""From what should be to what is: look, commit, understand what failed, repair."""
