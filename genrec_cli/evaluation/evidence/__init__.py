"""What can be concluded from figures of some users: intervals, tests, power, slices, seeds."""
