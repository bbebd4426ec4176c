"""Everything that speaks to a language model: prompts, backbones, objectives, training, plans."""
