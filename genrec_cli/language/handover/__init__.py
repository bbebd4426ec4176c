"""Handing a finished run to other tools: its weights, its prompt, its titles and a card."""
