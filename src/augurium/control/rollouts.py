"""Rollouts: what operators ask of them, and the loop that carries them through."""

import asyncio
import contextlib
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, Literal

import structlog
from msgspec import convert, structs

from augurium.control.event_feed import EventFeed
from augurium.control.held_rollout import HeldRollout
from augurium.control.rollout_course import Course, Watched
from augurium.control.rollout_effects import ACTOR, Effects
from augurium.control.rollout_ends import draft_of, failed, has_ended
from augurium.control.rollout_keeper import AWAY, RolloutKeeper, told
from augurium.control.rollout_points import measured
from augurium.control.rollout_state import Move, RolloutState, with_point
from augurium.control.variant_ticks import VariantTicks
from augurium.core.clock import Clock
from augurium.core.errors import AuguriumError, Conflict, InvalidArgument
from augurium.registry.rollout_records import Rollout, RolloutNote
from augurium.registry.rollout_store import MOST_EVENTS, RolloutStore, check_free

TURN_S = 1.0
# how often what changes nothing is written down: a control that dies loses so much of it
WRITTEN_EVERY_S = 10.0
Order = Literal["pause", "resume", "promote", "abort"]
DONE = {"pause": "paused", "resume": "resumed", "promote": "promoted", "abort": "aborted"}
log = structlog.get_logger()


class Rollouts:
    """The rollouts of this node. Belongs to one event loop."""

    def __init__(
        self,
        store: RolloutStore,
        courses: Mapping[str, Course],
        effects: Effects,
        ticks: VariantTicks,
        feed: EventFeed,
        clock: Clock,
    ) -> None:
        self.keeper = RolloutKeeper(store, effects)
        self.store = store
        self.feed = feed
        self._courses = courses
        self._effects = effects
        self._ticks = ticks
        self._clock = clock
        self._held: dict[str, HeldRollout] = {}
        self._loaded = False
        self._changes: set[asyncio.Task[Rollout]] = set()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Carries rollouts through from now on, and tells of them."""
        self.feed.webhooks.start()
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Leaves them as they are; whoever starts next goes on."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self.feed.webhooks.stop()

    async def load(self) -> None:
        """Finds what an earlier control left; until the database answers, what is held goes on."""
        if self._loaded:
            return
        try:
            found = await asyncio.to_thread(self.store.find, None, True, MOST_EVENTS)
        except AuguriumError as error:
            log.warning("rollouts not found yet", reason=str(error))
            return
        for rollout in found:
            if rollout.id not in self._held:
                self._hold(rollout)
                exposes = self._course(rollout.kind).exposes(rollout.plan)
                await self._effects.expose(rollout.model, exposes)
        self._loaded = True

    @property
    def active(self) -> Sequence[HeldRollout]:
        """What is carried through now."""
        return tuple(self._held.values())

    async def begin(self, model: str, kind: str, plan: dict[str, Any], actor: str) -> Rollout:
        """Starts a rollout of a model; it is in effect when this returns.

        Raises InvalidArgument for a plan that cannot be, NotFound, and Conflict while another one
        of the model is active or it is not ready for it.
        """
        return await self._whole(self._begin(model, kind, plan, actor))

    async def _begin(self, model: str, kind: str, plan: dict[str, Any], actor: str) -> Rollout:
        course = self._course(kind)
        known = await self._effects.model(model)
        active = await asyncio.to_thread(self.store.find, model, True, 1)
        check_free(model, active[0] if active else None)
        draft = draft_of(known, kind, course.begin(known, plan))
        rollout = await asyncio.to_thread(self.store.start, draft, actor)
        held = self._hold(rollout)
        async with held.turn:
            try:
                # before the first request that counts
                await self._effects.expose(model, course.exposes(rollout.plan))
                await self.keeper.settle(held, actor)
            except AuguriumError as error:
                await self._not_begun(held, error, actor)
                raise
        await self.feed.poll()
        return held.rollout

    async def order(self, rollout: str, what: Order, actor: str, reason: str = "") -> Rollout:
        """Does what an operator wants: pauses, resumes, promotes at once or aborts.

        Raises NotFound, and Conflict for one that has ended or that this cannot be done with.
        """
        return await self._whole(self._order(rollout, what, actor, reason))

    async def _order(self, rollout: str, what: Order, actor: str, reason: str) -> Rollout:
        await self.load()
        held = self._held.get(rollout)
        if held is None:
            raise has_ended(await asyncio.to_thread(self.store.get, rollout))
        async with held.turn:
            if held.state.outcome or not held.rollout.active:
                raise has_ended(held.rollout)
            await self._obey(held, what, actor, reason)
        await self.feed.poll()
        return held.rollout

    async def peek(self, rollout: Rollout) -> dict[str, Any]:
        """The verdict as of now, between two looks; it decides nothing."""
        held = self._held.get(rollout.id)
        if held is None:
            return convert(rollout.state, RolloutState).verdict
        return await self._course(rollout.kind).peek(held.rollout, held.state)

    async def turn(self) -> None:
        """Looks after every active rollout once."""
        await self.load()
        # beside each other: none waits for the database of another one's turn
        async with asyncio.TaskGroup() as tasks:
            for held in self.active:
                tasks.create_task(self._look_after(held))
        await self.feed.poll()

    async def _whole(self, change: Coroutine[Any, Any, Rollout]) -> Rollout:
        """A caller who leaves in the middle leaves nothing half-done."""
        task = asyncio.ensure_future(change)
        self._changes.add(task)
        task.add_done_callback(self._changes.discard)
        return await asyncio.shield(task)

    async def _run(self) -> None:
        while True:
            try:
                await self.turn()
            except Exception:  # the edge of a task: the next turn tries again
                log.exception("rollouts not looked after")
            await asyncio.sleep(TURN_S)

    def _hold(self, rollout: Rollout) -> HeldRollout:
        held = self._held[rollout.id] = HeldRollout(rollout, self._clock.monotonic())
        tick_s = self._course(rollout.kind).tick_s(rollout)
        self._ticks.want(rollout.model, tick_s)
        # what was counted before says nothing of it: that may have been another rollout
        held.tick = self._ticks.current(tick_s)
        return held

    def _let_go(self, held: HeldRollout) -> None:
        self._held.pop(held.rollout.id, None)
        self._ticks.release(held.rollout.model)

    def _course(self, kind: str) -> Course:
        try:
            return self._courses[kind]
        except KeyError:
            known = ", ".join(self._courses)
            raise InvalidArgument(
                f"there is no rollout of kind '{kind[:32]}'; expected one of {known}"
            ) from None

    async def _look_after(self, held: HeldRollout) -> None:
        async with held.turn:
            try:
                await self._advance(held)
            except AuguriumError as error:
                self._waits(held, error)
                await self._reload(held)
            except Exception:  # the edge of a task: others go on, and the next turn tries again
                log.exception("rollout not looked after", rollout=held.rollout.id)

    async def _advance(self, held: HeldRollout) -> None:
        disturbed = held.state.disturbed
        if not disturbed and self._effects.told(held.rollout.model) != held.state.policy:
            held.settled = False
        # first what was decided before, maybe by a control that died of it
        waiting = not held.settled and not held.standing.unsaved
        if waiting and await self._done_before(held):
            return
        if not held.state.outcome:
            await self._judge(held)
        now = self._clock.monotonic()
        if held.pressing or now - held.saved_at >= WRITTEN_EVERY_S:
            held.saved_at = now
            await self.keeper.keep(held)
        await self._settle(held)
        held.problem = ""

    async def _done_before(self, held: HeldRollout) -> bool:
        """Whether that was its end. What cannot be done now hinders no judgement: a rollback needs
        less than other steps.
        """
        try:
            return await self._settle(held)
        except AuguriumError as error:
            self._waits(held, error)
            return False

    def _waits(self, held: HeldRollout, error: AuguriumError) -> None:
        if str(error) != held.problem:
            log.warning("rollout waits", rollout=held.rollout.id, reason=str(error))
        held.problem = str(error)

    async def _judge(self, held: HeldRollout) -> None:
        """Reads the new ticks; goes on in memory while the database does not answer."""
        rollout, now = held.rollout, self._clock.monotonic()
        gone = self._gone(held)
        if gone:
            held.make(failed(held.state, gone), now, ACTOR)
            return
        course = self._course(rollout.kind)
        ticks = self._ticks.of(rollout.model, course.tick_s(rollout), held.tick)
        for tick in ticks:
            held.tick = tick.number
            point = measured(tick, held.state.weights)
            held.change(points=with_point(held.state.points, point))
        watched = Watched(
            ticks,
            held.elapsed_s(now),
            self._clock.now().timestamp(),
            self._effects.fault(rollout.model, rollout.version),
        )
        move = await course.advance(rollout, held.state, watched)
        if move is not None:
            held.make(move, now, ACTOR)

    def _gone(self, held: HeldRollout) -> str:
        """Why it cannot go on, empty if it can: a version that nobody holds answers nobody."""
        policy, model = held.state.policy, held.rollout.model
        wanted = {held.state.control, *(policy.versions if policy else ())}
        missing = sorted(wanted - (self._effects.held(model) or frozenset()))
        names = ", ".join(f"{model}@{number}" for number in missing)
        return f"{names} is not deployed any more" if missing else ""

    async def _settle(self, held: HeldRollout, actor: str | None = None) -> bool:
        """Makes the world so; lets go of what has ended with it."""
        try:
            ended = await self.keeper.settle(held, actor)
        except Conflict as error:
            # somebody meant what they did: it is for people to say what shall be
            held.change(disturbed=True)
            if held.state.outcome:
                return False
            held.make(self._disturbed(held, str(error)), self._clock.monotonic(), ACTOR)
            held.settled = True
            await self.keeper.keep(held)
            return False
        if ended:
            self._let_go(held)
            await self._effects.expose(held.rollout.model, False)
        return ended

    def _disturbed(self, held: HeldRollout, reason: str) -> Move:
        course, now = self._course(held.rollout.kind), self._clock.monotonic()
        note = RolloutNote(kind="paused", text=reason, action="pause_rollout")
        move = Move(course=held.state.course, paused=True)
        # one that is paused already stays so
        with contextlib.suppress(Conflict):
            move = course.obey(held.rollout, held.state, "pause", reason, held.elapsed_s(now))
        return structs.replace(move, reason=reason, notes=(note,))

    async def _obey(self, held: HeldRollout, what: Order, actor: str, reason: str) -> None:
        before, settled = held.standing, held.settled
        held.make(self._move(held, what, actor, reason), self._clock.monotonic(), actor)
        if what == "resume":
            held.settled = False
            known = await self._effects.model(held.rollout.model)
            revision = known.traffic.revision if known.traffic else 0
            held.change(traffic_revision=revision, disturbed=False)
        try:
            await self.keeper.keep(held, actor)
        except AWAY as error:
            if held.urgent:
                raise told(error) from error
            held.standing, held.settled = before, settled
            raise
        except AuguriumError:
            held.standing, held.settled, held.urgent = before, settled, False
            raise
        await self._settle(held, actor)

    def _move(self, held: HeldRollout, what: Order, actor: str, reason: str) -> Move:
        course, now = self._course(held.rollout.kind), self._clock.monotonic()
        said = f"{DONE[what]} by {actor}" + (f": {reason}" if reason else "")
        move = course.obey(held.rollout, held.state, what, said, held.elapsed_s(now))
        note = RolloutNote(kind=DONE[what], text=said, action=f"{what}_rollout")
        return structs.replace(move, reason=said, notes=(*move.notes, note))

    async def _not_begun(self, held: HeldRollout, error: AuguriumError, actor: str) -> None:
        """Ends what could not begin; a database that is away is told by the loop."""
        held.make(failed(held.state, str(error)), self._clock.monotonic(), actor)
        with contextlib.suppress(AuguriumError):
            await self.keeper.keep(held, actor)
            await self._settle(held, actor)

    async def _reload(self, held: HeldRollout) -> None:
        """Takes over what somebody else has written, such as another control of the database."""
        with contextlib.suppress(AuguriumError):
            known = await asyncio.to_thread(self.store.get, held.rollout.id)
            if not known.active:
                self._let_go(held)
            elif known.revision != held.rollout.revision:
                self._hold(known)
