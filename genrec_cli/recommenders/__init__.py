"""Everything that can rank, behind one small protocol."""
