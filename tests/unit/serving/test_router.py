import pytest

from augurium.core.errors import NotFound, NotReady
from augurium.core.identifiers import model_ref
from augurium.core.serving_policy import ConstantStep, FallbackPolicy
from augurium.core.signature import Signature
from augurium.core.tensors import TensorSpec
from augurium.core.traffic_policy import TrafficPolicy, TrafficRule, Variant
from augurium.core.traffic_slots import rearranged
from augurium.serving.absent_version import AbsentVersion
from augurium.serving.metrics import VersionMetrics
from augurium.serving.router import Chosen, ModelRoutes, Router
from augurium.serving.snapshot import DesiredVersion
from augurium.traffic.compiled_policy import Asked, CompiledPolicy

SIGNATURE = Signature((TensorSpec("x", "FP32", (-1, 1)),), (TensorSpec("y", "FP32", (-1, 1)),))


@pytest.fixture
def router() -> Router[str]:
    router: Router[str] = Router()
    router.replace(
        {
            "m": ModelRoutes(
                {1: "m1", 2: "m2"}, {3: "it is being loaded"}, 1, {"champion": 2, "new": 3}
            ),
            "bare": ModelRoutes({1: "bare1"}, {}, None, {}),
        }
    )
    return router


def test_the_default_an_alias_and_a_number_lead_to_their_versions(router: Router[str]) -> None:
    found = [router.resolve(model_ref(text)) for text in ("m", "m@champion", "m@1", "bare@1")]
    assert found == ["m1", "m2", "m1", "bare1"]


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("x", NotFound, "Request for unknown model: 'x' is not found"),
        ("m@9", NotFound, "Request for unknown model: 'm' version 9 is not found"),
        ("m@nobody", NotFound, "Request for unknown model: 'm' has no alias 'nobody'"),
        ("m@3", NotReady, "version 3 of model 'm' is not ready: it is being loaded"),
        ("m@new", NotReady, "version 3 of model 'm' is not ready"),
        ("bare", NotReady, "no default version"),
    ],
)
def test_what_cannot_answer_says_why(
    router: Router[str], text: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        router.resolve(model_ref(text))


def test_before_the_first_table_nobody_is_told_that_there_is_no_such_model() -> None:
    router: Router[str] = Router()
    with pytest.raises(NotReady, match="does not know yet which models there are"):
        router.resolve(model_ref("x"))
    router.replace({})
    with pytest.raises(NotFound):
        router.resolve(model_ref("x"))


@pytest.mark.parametrize(
    ("text", "number"),
    [
        *(("m", None), ("m@3", 3), ("m@new", 3), ("m@4", None), ("m@9", None), ("m@nobody", None)),
        *(("fresh", 2), ("fresh@1", 1), ("bare", None), ("x", None)),
    ],
)
def test_what_something_else_can_answer_for_is_found_by_what_was_asked(
    text: str, number: int | None
) -> None:
    table: Router[AbsentVersion] = Router()

    def absent(model: str, version: int) -> AbsentVersion:
        return AbsentVersion(
            DesiredVersion(model, version, "onnx", "", "", SIGNATURE),
            VersionMetrics(model, version),
            FallbackPolicy(steps=(ConstantStep({"y": 1.0}),)),
            table.resolve,
        )

    served = absent("m", 1)
    loading = dict.fromkeys((3, 4), "it is being loaded")
    table.replace(
        {
            "m": ModelRoutes({1: served}, loading, 1, {"new": 3}, {3: absent("m", 3)}),
            "fresh": ModelRoutes(
                {}, dict.fromkeys((1, 2), ""), None, {}, {n: absent("fresh", n) for n in (1, 2)}
            ),
            "bare": ModelRoutes({1: served}, {}, None, {}),
        }
    )
    found = table.find_absent(model_ref(text))
    assert (found.desired.version if found else None) == number


def _split(*split: Variant, rules: tuple[TrafficRule, ...] = ()) -> Router[str]:
    policy = TrafficPolicy(split, rules=rules)
    slots = rearranged((), {one.label: one.slots for one in split})
    compiled = CompiledPolicy("m", policy, slots, SIGNATURE)
    router: Router[str] = Router()
    ready = {1: "m1", 2: "m2"}
    router.replace({"m": ModelRoutes(ready, {3: "slow"}, 1, {"champion": 2}, policy=compiled)})
    return router


SAID_NOTHING: dict[str, str] = {}
ASKED = Asked({"augurium-unit": "ada", "x-country": "DE"}.get)


def test_a_policy_chooses_for_a_request_that_names_no_version() -> None:
    router = _split(Variant(2, 100, name="challenger"))

    assert router.choose(model_ref("m"), ASKED) == Chosen("m2", "challenger", "ada")


@pytest.mark.parametrize("text", ["m@1", "m@champion", "x"])
def test_a_version_or_an_alias_in_a_request_is_stronger_than_a_policy(text: str) -> None:
    assert _split(Variant(2, 100)).choose(model_ref(text), ASKED) is None


@pytest.mark.parametrize("number", [3, 9])
def test_a_variant_that_is_not_ready_is_left_to_the_default_version(number: int) -> None:
    router = _split(Variant(number, 100))

    assert router.choose(model_ref("m"), ASKED) is None
    assert router.resolve(model_ref("m")) == "m1"


def test_where_no_rule_applies_and_nothing_is_split_the_default_answers() -> None:
    router = _split(rules=(TrafficRule("header:x-country", 2, values=("DE",)),))

    assert router.choose(model_ref("m"), ASKED) == Chosen("m2", "v2", "")
    assert router.choose(model_ref("m"), Asked(SAID_NOTHING.get)) is None


def test_a_model_without_a_policy_is_not_split(router: Router[str]) -> None:
    assert not router.policies
    assert not router.is_split(model_ref("m"))
    assert router.choose(model_ref("m"), ASKED) is None
