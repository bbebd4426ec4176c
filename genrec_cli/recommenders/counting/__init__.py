"""Baselines that count: what is popular, what follows what, what goes with what."""
