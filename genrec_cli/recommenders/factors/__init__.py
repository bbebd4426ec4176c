"""Baselines that solve for weights: linear item models, factors of the matrix, titles as texts."""
