"""Python's cyclic garbage collector, kept away from what stays.

Its full collections look at everything there is: 50 000 objects of libraries alone, which halted a
busy engine for 20 to 60 ms every other second (measured at 64 connections). What has settled is
frozen, so that a full collection looks at the rest only.
"""

import gc

# what a version leaves in cycles when it goes is small, since its executor lets go of the model
MANY_RETIRED = 32


class Collector:
    """Freezes what is there whenever nothing is on the move."""

    def __init__(self) -> None:
        self._collected: int | None = None

    def settle(self, retired: int) -> None:
        """Nothing loads any more, and so many versions have gone so far.

        What has become garbage among the frozen is collected after every so many.
        """
        if self._collected is None or retired - self._collected >= MANY_RETIRED:
            gc.unfreeze()
            gc.collect()
            self._collected = retired
        gc.freeze()
