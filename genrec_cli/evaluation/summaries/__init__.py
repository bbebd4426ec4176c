"""The result table of a bench, for papers and issues."""
