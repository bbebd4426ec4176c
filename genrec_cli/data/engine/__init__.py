"""The split kernel and the engines that run it: a log becomes sorted sequences, in any memory.

Events are grouped by user and users are stored in the order of a 64-bit hash of their id
(`data.ids.spread`). A partition is a range of hashes, so partitions can be made of any size, worked
on one by one in any order on any machine, and put side by side, and the result is the same.
"""
