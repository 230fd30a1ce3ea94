import pytest

from augurium.core.errors import NotFound, NotReady
from augurium.core.identifiers import model_ref
from augurium.serving.router import ModelRoutes, Router


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
