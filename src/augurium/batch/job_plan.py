"""The plan of a job as it is stored: with it, every attempt does the same work in the same way."""

from functools import cached_property

import msgspec
from msgspec import Struct

from augurium.batch.model_choice import ModelChoice
from augurium.batch.partition import InputPlan
from augurium.core.errors import Unprocessable
from augurium.registry.batch_records import JobPlan as StoredPlan


class JobPlan(Struct, frozen=True, dict=True):
    """The input in partitions, what scores them, and how many rows at once."""

    input: InputPlan
    model: ModelChoice
    batch_size: int

    @cached_property
    def outline(self) -> InputPlan:
        """The input without its partitions, which a worker is told one by one."""
        return msgspec.structs.replace(self.input, partitions=())

    def stored(self) -> StoredPlan:
        """As the registry keeps it."""
        content = msgspec.msgpack.encode(self)
        return StoredPlan(
            content=content, partitions=len(self.input.partitions), rows=self.input.rows
        )


def read_plan(stored: StoredPlan) -> JobPlan:
    """Raises Unprocessable for a plan that another release wrote in another way."""
    try:
        return msgspec.msgpack.decode(stored.content, type=JobPlan)
    except msgspec.MsgspecError as error:
        raise Unprocessable(
            f"the plan of the job was written by another release and cannot be read ({error});"
            " cancel the job and submit it again"
        ) from error
