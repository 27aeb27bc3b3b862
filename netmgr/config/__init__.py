"""Text to a checked configuration, or every error of the text."""
