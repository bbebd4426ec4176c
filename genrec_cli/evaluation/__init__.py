"""Protocol, metrics and intervals."""
