"""Hard limits of a canary: what no candidate may do, whatever the baseline does."""

from augurium.core.canary_plan import CanaryPlan
from augurium.statistics.log_histogram import LogHistogram
from augurium.statistics.proportions import wilson
from augurium.traffic.canary_evidence import Evidence, error_counts
from augurium.traffic.canary_findings import Finding, Outcome

# of the interval of the error rate: it is looked at in every tick, for hours
LIMIT_ALPHA = 1e-4


def limit_findings(plan: CanaryPlan, evidence: Evidence) -> tuple[Finding, ...]:
    """Faults, errors and slowness of the last half minute to minute."""
    found = [_errors(plan, evidence)]
    if evidence.fault:
        found.insert(0, Finding(check="fault", outcome=Outcome.FAILED, reason=evidence.fault))
    if plan.slo_ms is not None:
        found.append(_slowness(plan, evidence, plan.slo_ms))
    return tuple(found)


def _errors(plan: CanaryPlan, evidence: Evidence) -> Finding:
    errors, n = error_counts(evidence.window.candidate)
    low, high = wilson(errors, n, LIMIT_ALPHA)
    limit = plan.error_limit_percent / 100
    broken = n >= plan.error_limit_requests and n > 0 and low > limit
    counted = f"{errors} of {n} requests failed"
    return Finding(
        check="error_limit",
        outcome=Outcome.FAILED if broken else Outcome.PASSED,
        reason=f"{counted}, {'more than' if broken else 'within'} the limit of "
        f"{plan.error_limit_percent:.4g} %" + (f": at least {low * 100:.3g} %" if broken else ""),
        candidate=errors / n if n else None,
        statistic=low,
        threshold=limit,
        low=low,
        high=high,
        n=n,
    )


def _slowness(plan: CanaryPlan, evidence: Evidence, slo_ms: float) -> Finding:
    latency = LogHistogram(dict(evidence.window.candidate.latency))
    n, p99 = latency.count, latency.quantile(0.99)
    limit_ms = plan.slo_factor * slo_ms
    found_ms = None if p99 is None else p99 * 1000
    broken = found_ms is not None and n >= plan.slo_limit_requests and found_ms > limit_ms
    said = "no answer yet" if found_ms is None else f"p99 is {found_ms:.4g} ms of {n} answers"
    return Finding(
        check="slo_limit",
        outcome=Outcome.FAILED if broken else Outcome.PASSED,
        reason=f"{said}, {'above' if broken else 'within'} the limit of {limit_ms:.4g} ms",
        candidate=found_ms,
        statistic=found_ms,
        threshold=limit_ms,
        n=n,
    )
