"""What a browser sees: which request may be answered, with what, and the page.  Nothing here opens anything."""
