"""What a training run will take of memory and time, and what to do where that is too much."""
