"""Base models: where they come from, how they are loaded, quantised and adapted."""
