"""Token tries and the searches over them; knows token ids and scores, no tokenizer."""
