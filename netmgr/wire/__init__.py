"""Bytes to values and back; nothing here has a descriptor or a clock."""
