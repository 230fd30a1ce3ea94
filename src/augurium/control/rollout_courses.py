"""The courses of a node's rollouts, by kind."""

from collections.abc import Iterator, Mapping
from functools import cached_property

from augurium.control.feedback import Feedback
from augurium.control.prediction_records import PredictionRecords
from augurium.control.rollout_course import Course
from augurium.core.clock import Clock


class RolloutCourses(Mapping[str, Course]):
    """Canaries, experiments and bandits, judged by what a node records and is told.

    They are made when the first of them is asked for: most nodes start without any rollout, and
    SciPy, which judges compute with, takes a third of a second and 24 MB.
    """

    def __init__(
        self, predictions: PredictionRecords, feedback: Feedback, clock: Clock, recorded: bool
    ) -> None:
        self._predictions = predictions
        self._feedback = feedback
        self._clock = clock
        self._recorded = recorded

    def __getitem__(self, kind: str) -> Course:
        return self._made[kind]

    def __iter__(self) -> Iterator[str]:
        return iter(self._made)

    def __len__(self) -> int:
        return len(self._made)

    @cached_property
    def _made(self) -> dict[str, Course]:
        from augurium.control.canary_course import CanaryCourse
        from augurium.control.canary_quality import QualityRecords
        from augurium.control.experiment_course import ExperimentCourse
        from augurium.control.experiment_records import ExperimentRecords
        from augurium.control.quality_watch import QualityWatch

        partitions, received = self._predictions.partitions, self._feedback.counts.received
        # what engines and callers have said until now, wherever it still is
        flushes = (lambda _: self._predictions.flush(), self._feedback.flush)
        sums = ExperimentRecords(partitions, *flushes).sums
        quality = QualityRecords(partitions, *flushes).quality
        watch = QualityWatch(quality, lambda model: received[model], self._clock)
        return {
            "canary": CanaryCourse(watch.newest, self._recorded),
            "experiment": ExperimentCourse(sums, self._clock, "experiment", self._recorded),
            "bandit": ExperimentCourse(sums, self._clock, "bandit", self._recorded),
        }
