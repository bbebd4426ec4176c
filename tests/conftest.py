"""What holds for all tests."""

import hypothesis

# Machines are shared and noisy: how long an example takes says nothing.
hypothesis.settings.register_profile("genrec", deadline=None)
hypothesis.settings.load_profile("genrec")
