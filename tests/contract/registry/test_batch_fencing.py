"""Holders that stop, come back and take jobs from each other, in any order that can be thought of.

However claims, renewals, commits and decisions of people follow each other: a token is given once,
only the newest one that was not given back counts, a partition is committed once and stays as it
was, and no job is taken from a holder whose heart beat within a lease of whoever takes it.
"""

from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from augurium.core.clock import ManualClock
from augurium.core.errors import Conflict
from augurium.registry.batch_records import BatchProgress, JobPlan, JobState, Wanted
from augurium.registry.batch_store import BatchStore, LeaseLost
from augurium.registry.lease_watch import LeaseWatch
from augurium.registry.memory_batch_jobs import MemoryBatchJobs
from tests.contract.registry.conftest import a_job

LEASE_S = 10.0
PARTITIONS = 4
NODES = st.integers(0, 2)
JOBS = st.integers(0, 1)
STATES = ("queued", "paused", "publishing", "succeeded", "failed", "cancelled")
NUMBERS = st.integers(0, PARTITIONS - 1)


class Node:
    """Claims and works by a clock of its own, and believes in every token it ever got."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.clock = ManualClock()
        self.watch = LeaseWatch(self.clock)
        self.tokens: dict[str, int] = {}

    def believes(self, job: str) -> int:
        return self.tokens.get(job, 0)


@dataclass
class Truth:
    """What must be so of a job."""

    tokens: int = 0
    held_by: int | None = None
    beaten_at: dict[str, float] = field(default_factory=dict)
    """When its heart last beat, by the clock of each node."""
    committed: dict[int, bytes] = field(default_factory=dict)


class Fencing(RuleBasedStateMachine):
    """Two jobs of a store, and three nodes that want them."""

    store: BatchStore

    def __init__(self) -> None:
        super().__init__()
        self.nodes = [Node(f"node-{number}") for number in range(3)]
        self.jobs = [self.store.submit(a_job(), "ann").id for _ in range(2)]
        self.truth = {job: Truth() for job in self.jobs}
        self.others = tuple(
            job.id for job in self.store.find(limit=1000) if job.id not in self.jobs
        )

    @rule(node=NODES, seconds=st.sampled_from([1.0, 4.0, LEASE_S, 3 * LEASE_S]))
    def time_passes_for(self, node: int, seconds: float) -> None:
        self.nodes[node].clock.advance(seconds)

    @rule(node=NODES)
    def claims(self, node: int) -> None:
        claimer = self.nodes[node]
        job = self.store.claim(claimer.name, claimer.watch, 10**6, LEASE_S, self.others)
        if job is None:
            return
        truth = self.truth[job.id]
        assert job.token == truth.tokens + 1
        if truth.held_by is not None:
            silent_s = claimer.clock.monotonic() - truth.beaten_at[claimer.name]
            assert silent_s >= LEASE_S
        truth.tokens = truth.held_by = job.token
        claimer.tokens[job.id] = job.token
        self._beats(job.id)

    @rule(node=NODES, job=JOBS)
    def renews(self, node: int, job: int) -> None:
        if self._holds(node, job):
            self.store.renew(*self._lease(node, job), BatchProgress())
            self._beats(self.jobs[job])
        else:
            with pytest.raises(LeaseLost):
                self.store.renew(*self._lease(node, job), BatchProgress())

    @rule(node=NODES, job=JOBS, number=NUMBERS)
    def commits(self, node: int, job: int, number: int) -> None:
        identity, token = self._lease(node, job)
        result = f"{number} by {token}".encode()
        plan = JobPlan(content=b"plan", partitions=PARTITIONS)
        truth = self.truth[identity]
        if not self._holds(node, job):
            with pytest.raises(LeaseLost):
                self.store.plan(identity, token, plan)
            with pytest.raises(LeaseLost):
                self.store.commit(identity, token, number, result)
            return
        if self.store.get(identity).state == "publishing":
            with pytest.raises(Conflict):
                self.store.commit(identity, token, number, result)
            return
        self.store.plan(identity, token, plan)
        new = self.store.commit(identity, token, number, result)
        assert new == (number not in truth.committed)
        truth.committed.setdefault(number, result)

    @rule(node=NODES, job=JOBS)
    def gives_back(self, node: int, job: int) -> None:
        if self._holds(node, job):
            self.store.release(*self._lease(node, job))
            self.truth[self.jobs[job]].held_by = None
        else:
            with pytest.raises(LeaseLost):
                self.store.release(*self._lease(node, job))

    @rule(node=NODES, job=JOBS, state=st.sampled_from(STATES))
    def moves(self, node: int, job: int, state: JobState) -> None:
        holds = self._holds(node, job)
        before = self.store.get(self.jobs[job])
        try:
            moved = self.store.move(*self._lease(node, job), state)
        except LeaseLost:
            assert not holds
            assert self.store.get(self.jobs[job]) == before
        except Conflict:
            assert holds
            assert self.store.get(self.jobs[job]) == before
        else:
            assert holds
            if not moved.held:
                self.truth[self.jobs[job]].held_by = None

    @rule(job=JOBS, wanted=st.sampled_from(["run", "pause", "cancel"]))
    def somebody_wants(self, job: int, wanted: Wanted) -> None:
        before = self.store.get(self.jobs[job])
        try:
            changed = self.store.want(self.jobs[job], wanted, "ann")
        except Conflict:
            assert self.store.get(self.jobs[job]) == before
        else:
            assert changed.held == before.held
            assert changed.wanted == wanted or changed.ended or changed.state == "publishing"

    @rule(job=JOBS)
    def somebody_retries(self, job: int) -> None:
        if self.store.get(self.jobs[job]).state in ("failed", "cancelled"):
            self.store.retry(self.jobs[job], "ann")

    @invariant()
    def what_is_committed_stays(self) -> None:
        for job, truth in self.truth.items():
            kept = {one.number: one.result for one in self.store.partitions(job)}
            known = self.store.get(job)
            assert kept == truth.committed
            assert known.committed == len(truth.committed)
            assert known.held == (truth.held_by is not None)
            assert known.token == truth.tokens
            assert known.state != "succeeded" or len(kept) == PARTITIONS

    def _beats(self, job: str) -> None:
        for node in self.nodes:
            self.truth[job].beaten_at[node.name] = node.clock.monotonic()

    def _lease(self, node: int, job: int) -> tuple[str, int]:
        return self.jobs[job], self.nodes[node].believes(self.jobs[job])

    def _holds(self, node: int, job: int) -> bool:
        identity, token = self._lease(node, job)
        return token > 0 and self.truth[identity].held_by == token


def test_of_holders_only_the_newest_changes_anything_and_nothing_is_committed_twice(
    jobs: BatchStore,
) -> None:
    class FencingOfStore(Fencing):
        store = jobs

    in_memory = isinstance(jobs, MemoryBatchJobs)
    run_state_machine_as_test(
        FencingOfStore,
        settings=settings(max_examples=100 if in_memory else 20, stateful_step_count=50),
    )
