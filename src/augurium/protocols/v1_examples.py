"""TensorFlow Serving's classify and regress: examples in, labels with scores or values out.

TensorFlow Serving writes `results`, its documentation says `result`: the answer has both.

Source: TensorFlow Serving, RESTful API, "Classify and Regress API", and `util/json_tensor.cc`.
"""

from augurium.core.errors import AuguriumError
from augurium.core.inference import InferenceRequest, Instances
from augurium.core.signature import Signature
from augurium.protocols import v1_results
from augurium.protocols.answer_headers import origin_of_parts
from augurium.protocols.http import HttpResponse, json_response
from augurium.protocols.routing import Call, Route
from augurium.protocols.row_answers import answer_rows
from augurium.protocols.tables import rows_of_records
from augurium.protocols.v1_body import ExamplesBody, examples_body
from augurium.serving.plane import DataPlane


class V1Examples:
    """The handlers of `:classify` and `:regress`."""

    def __init__(self, plane: DataPlane, max_json_depth: int) -> None:
        self._plane = plane
        self._max_json_depth = max_json_depth

    def routes(self) -> tuple[Route, ...]:
        """The paths of this protocol."""
        models = ("/v1/models/{model}", "/v1/models/{name}/labels/{label}")
        return tuple(
            Route("POST", f"{model}:{method}", "infer", answer)
            for model in models
            for method, answer in (("classify", self.classify), ("regress", self.regress))
        )

    async def classify(self, call: Call) -> HttpResponse:
        """`POST /v1/models/M:classify`: for each example its labels, each with a score."""
        return await self._answer(call, v1_results.classes_of)

    async def regress(self, call: Call) -> HttpResponse:
        """`POST /v1/models/M:regress`: for each example a value."""
        return await self._answer(call, v1_results.values_of)

    async def _answer(self, call: Call, results_of: "v1_results.Results") -> HttpResponse:
        try:
            body = examples_body(call.request.content, self._max_json_depth)
            signature = self._plane.asked(call.model).signature
            # before the model runs for nothing
            read = results_of(call.model.name, signature)
            instances = _instances(body, signature)
        except AuguriumError as error:
            self._plane.count_unread(error.kind, call.model)
            raise
        request = InferenceRequest(
            call.model,
            instances,
            self._plane.deadline(call.timeout_s),
            outputs=read.outputs,
            refresh=call.refresh,
            priority=call.priority,
            header=call.request.header,
            prediction_id=call.request_id,
        )
        responses = await answer_rows(self._plane, request)
        found = [result for response in responses for result in read.results(response)]
        answer = json_response({"result": found, "results": found})
        answer.headers.extend(origin_of_parts(responses))
        return answer


def _instances(body: ExamplesBody, signature: Signature) -> Instances:
    """The examples with what they share; a feature of one value may be a list of it."""
    single = {
        name
        for spec in signature.inputs
        for name in (spec.features or ((spec.name,) if spec.shape in ((-1,), (-1, 1)) else ()))
    }
    return rows_of_records(
        [
            {
                name: value[0]
                if name in single and isinstance(value, list) and len(value) == 1
                else value
                for name, value in {**body.context, **example}.items()
            }
            for example in body.examples
        ],
        signature,
    )
