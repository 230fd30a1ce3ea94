"""What the supervisor tells an engine that cannot take arguments, because Envoy starts it."""

import msgspec

ENGINE_VARIABLE = "AUGURIUM_ENGINE"


class EngineStart(msgspec.Struct, frozen=True):
    """The node's configuration file, this engine's slot, its lifeline and Envoy's admin socket."""

    config: str
    slot: str
    lifeline: int
    admin_socket: str
