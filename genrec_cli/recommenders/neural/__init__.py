"""Baselines that are trained by gradient descent; only they import torch here."""
