"""Finished benches, as the commands after them read them."""
