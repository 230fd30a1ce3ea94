from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from augurium.control.exposition import Exposition, labels
from augurium.control.metrics import NodeFacts, render
from augurium.core.accelerators import Reading
from augurium.serving.metrics import EngineMetrics, VersionMetrics

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def _samples(page: bytes) -> Samples:
    # the parser ends the name of every counter in _total, Triton's do not
    return {
        (sample.name.removesuffix("_total"), tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(page.decode())
        for sample in family.samples
    }


def _busy_version() -> VersionMetrics:
    version = VersionMetrics(
        "iris",
        3,
        outcomes={
            "ok": 7,
            "overloaded": 2,
            "deadline_exceeded": 1,
            "cancelled": 3,
            "model_failed": 4,
            "invalid_argument": 5,
        },
        rows=4,
        executions=5,
        releases={"idle": 4, "full": 2},
        pending=9,
        load_s=0.5,
    )
    for seconds in (0.0002, 0.004, 0.004, 100.0):
        version.request_s.observe(seconds)
    version.queue_s.observe(0.001)
    version.ran(16, 3, 0.0005, 0.002, 0.001)
    version.answered(0, "ok", 0.02)
    return version


def _page() -> Samples:
    metrics = EngineMetrics([_busy_version()], {"not_found": 8})
    return _samples(render(metrics, NodeFacts(2, 41, {"engine-0": 1, "engine-1": 0})))


IRIS = (("model", "iris"), ("version", "3"))


def test_devices_say_how_busy_and_full_they_are() -> None:
    busy = Reading(0, "H100", "GPU-a", 80, 30, 0.9)
    silent = Reading(1, "H100", "GPU-b", 80, 8)
    page = _samples(render(EngineMetrics(), NodeFacts(1, 1, devices=(busy, silent))))

    zero, one = (
        (("device", f"cuda:{n}"), ("uuid", f"GPU-{letter}")) for n, letter in ((0, "a"), (1, "b"))
    )
    assert page["augurium_gpu_utilization_ratio", zero] == 0.9
    assert page["augurium_gpu_memory_bytes", one] == 80
    assert page["augurium_gpu_memory_used_bytes", zero] == 30
    assert ("augurium_gpu_utilization_ratio", one) not in page


def test_requests_are_counted_by_outcome() -> None:
    page = _page()

    name = "augurium_requests"
    assert page[name, (("model", "iris"), ("outcome", "ok"), ("version", "3"))] == 7
    assert page[name, (("model", "iris"), ("outcome", "cancelled"), ("version", "3"))] == 3
    assert page["augurium_unrouted_requests", (("outcome", "not_found"),)] == 8


def test_batches_are_counted_by_why_they_were_released() -> None:
    page = _page()

    name = "augurium_batches_released"
    assert page[name, (("model", "iris"), ("reason", "full"), ("version", "3"))] == 2


def test_work_and_load_have_their_own_names() -> None:
    page = _page()

    assert page["augurium_rows", IRIS] == 20
    assert page["augurium_executions", IRIS] == 6
    assert page["augurium_pending_requests", IRIS] == 9


def test_the_node_says_what_it_knows_of_its_engines() -> None:
    page = _page()

    assert page["augurium_engines_connected", ()] == 2
    assert page["augurium_snapshot_revision", ()] == 41
    assert page["augurium_engine_restarts", (("engine", "engine-0"),)] == 1


def test_histograms_are_cumulative() -> None:
    page = _page()

    def bucket(bound: str) -> float:
        return page["augurium_request_seconds_bucket", (("le", bound), *IRIS)]

    assert [bucket("0.0001"), bucket("0.00025"), bucket("0.005"), bucket("30")] == [0, 1, 3, 3]
    assert bucket("+Inf") == page["augurium_request_seconds_count", IRIS] == 4
    assert page["augurium_request_seconds_sum", IRIS] == 0.0002 + 0.004 + 0.004 + 100.0
    assert page["augurium_batch_rows_bucket", (("le", "16"), *IRIS)] == 1


def test_triton_names_count_the_same_things() -> None:
    page = _page()

    assert page["nv_inference_request_success", IRIS] == 7
    assert page["nv_inference_count", IRIS] == 20
    assert page["nv_inference_exec_count", IRIS] == 6
    assert page["nv_inference_queue_duration_us", IRIS] == 1000
    # three requests each waited for the whole run
    assert page["nv_inference_compute_input_duration_us", IRIS] == 1500
    assert page["nv_inference_compute_infer_duration_us", IRIS] == 6000
    assert page["nv_inference_compute_output_duration_us", IRIS] == 3000
    assert page["nv_inference_compute_infer_duration_histogram_us_sum", IRIS] == 2000
    assert page["nv_inference_pending_request_count", IRIS] == 9
    assert page["nv_model_load_duration_secs", IRIS] == 0.5


def test_triton_failures_are_sorted_by_triton_reasons() -> None:
    page = _page()

    failures = {
        dict(labels)["reason"]: value
        for (name, labels), value in page.items()
        if name == "nv_inference_request_failure"
    }
    assert failures == {"REJECTED": 3, "CANCELED": 3, "BACKEND": 4, "OTHER": 5}


def test_triton_histograms_are_in_microseconds() -> None:
    page = _page()

    name = "nv_inference_request_duration_histogram_us"
    assert page[f"{name}_bucket", (("le", "250"), *IRIS)] == 1
    assert page[f"{name}_bucket", (("le", "30000000"), *IRIS)] == 3
    assert page[f"{name}_count", IRIS] == 4


def test_the_first_answers_of_streams_are_in_milliseconds() -> None:
    page = _page()

    name = "nv_inference_first_response_histogram_ms"
    assert page[f"{name}_bucket", (("le", "15"), *IRIS)] == 0
    assert page[f"{name}_bucket", (("le", "20"), *IRIS)] == 1
    assert page[f"{name}_sum", IRIS] == 20


def test_triton_names_stand_on_the_page_as_triton_writes_them() -> None:
    page = render(EngineMetrics([_busy_version()]), NodeFacts(1, 1)).decode()

    assert 'nv_inference_count{model="iris",version="3"} 20' in page.splitlines()
    assert 'augurium_rows_total{model="iris",version="3"} 20' in page.splitlines()


def test_only_versions_that_were_asked_have_histograms() -> None:
    idle = VersionMetrics("idle", 1, resident=1)
    page = render(EngineMetrics([_busy_version(), idle]), NodeFacts(1, 1)).decode()

    lines = [line for line in page.splitlines() if 'model="idle"' in line]
    assert 'augurium_resident_engines{model="idle",version="1"} 1' in lines
    assert not [line for line in lines if "_bucket" in line]


def test_engines_tell_what_they_take() -> None:
    engine = EngineMetrics(memory_bytes=2**20, budget_bytes=10**9)
    page = _samples(render(EngineMetrics(), NodeFacts(1, 1, counters={"engine-0": engine})))

    (label,) = {labels for name, labels in page if name == "augurium_engine_memory_bytes"}
    assert page["augurium_engine_memory_bytes", label] == 2**20
    assert page["augurium_engine_model_budget_bytes", label] == 10**9


def test_a_node_without_traffic_has_a_page_too() -> None:
    page = _samples(render(EngineMetrics(), NodeFacts(0, 0)))

    assert page["augurium_engines_connected", ()] == 0


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.just("\n")))
def test_any_label_value_comes_back_as_it_was(value: str) -> None:
    page = Exposition()
    page.family("things", "gauge", "Things")
    page.sample(labels(name=value), 1)

    assert _samples(page.text()) == {("things", (("name", value),)): 1}
