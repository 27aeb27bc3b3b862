"""What everything speaks in: errors, events, addresses, sets, outcomes, text."""
