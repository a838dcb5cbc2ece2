"""How long things took: counts in fixed buckets, which is what a histogram is made of."""

from bisect import bisect_left

BOUNDS = (0.0001, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0)
"""Seconds; what took exactly so long is in the bucket. There is one more, for what took longer."""
BUCKETS = len(BOUNDS) + 1


class Durations:
    """The sum of some durations in seconds, and how many there are in each bucket."""

    __slots__ = ("buckets", "seconds")

    def __init__(self) -> None:
        self.seconds = 0.0
        self.buckets = [0] * BUCKETS

    def add(self, seconds: float) -> None:
        """Take one; less than nothing, as of clocks that differ, is nothing."""
        self.seconds += max(0.0, seconds)
        self.buckets[bisect_left(BOUNDS, seconds)] += 1

    def told(self) -> list[float]:
        """Return the sum, then the buckets."""
        return [round(self.seconds, 6), *self.buckets]
