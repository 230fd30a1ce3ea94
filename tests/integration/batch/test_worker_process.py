"""Workers as the process of a job sees them."""

import asyncio
import os
import signal

import pytest

from augurium.batch.worker_messages import Done, Import
from augurium.batch.worker_process import WorkerDied, WorkerProcess
from augurium.batch.worker_start import WorkerStart
from augurium.core.errors import InvalidArgument

HOW = WorkerStart("normal")


async def test_workers_that_are_asked_while_they_load_answer_when_they_have() -> None:
    workers = [WorkerProcess(HOW) for _ in range(4)]
    for worker in workers:
        await worker.start()

    answers = await asyncio.gather(*(worker.ask(Import("onnx")) for worker in workers))

    assert answers == [Done()] * 4
    for worker in workers:
        await worker.end()


async def test_what_a_worker_refuses_is_raised_and_it_lives_on() -> None:
    worker = WorkerProcess(HOW)
    await worker.start()

    with pytest.raises(InvalidArgument, match="runtime 'abacus' is not known"):
        await worker.ask(Import("abacus"))

    assert await worker.ask(Import("onnx")) == Done()
    await worker.end()


async def test_how_a_worker_ended_is_told() -> None:
    worker = WorkerProcess(HOW)
    await worker.start()
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGKILL)

    with pytest.raises(WorkerDied, match="SIGKILL"):
        await worker.ask(Import("onnx"))

    assert worker.pid is None
