"""What people and programs see: states, answers, differences."""
