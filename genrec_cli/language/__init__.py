"""Prompts, backbones, objectives, training and plans: everything that speaks to a language model."""
