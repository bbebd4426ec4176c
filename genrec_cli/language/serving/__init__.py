"""A language model as the searches see it: prompts once, then a tree of tokens behind each."""
