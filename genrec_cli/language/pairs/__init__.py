"""P5 and masked GenRec: what encoder-decoders read and write, and how they are trained on it."""
