"""What a tick adds to the picture of a rollout."""

from collections.abc import Mapping

from augurium.control.rollout_state import ArmPoint, Point
from augurium.control.variant_ticks import Tick
from augurium.serving.variant_metrics import VariantMetrics

MILLISECONDS = 1e3


def measured(tick: Tick, weights: Mapping[str, float]) -> Point:
    """The arms of a rollout in a tick; others are none of its business."""
    arms = {
        arm.variant: _arm(metrics)
        for arm, metrics in tick.counted.items()
        if not weights or arm.variant in weights
    }
    return Point(tick.at, tick.seconds, dict(weights), arms)


def _arm(metrics: VariantMetrics) -> ArmPoint:
    median, tail = metrics.latency.quantile(0.5), metrics.latency.quantile(0.99)
    return ArmPoint(metrics.requests - metrics.mistakes, metrics.errors, _ms(median), _ms(tail))


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(MILLISECONDS * seconds, 3)
