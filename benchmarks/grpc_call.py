"""One unary gRPC call, bytes in and bytes out."""

import grpc

INFER_METHOD = "/inference.GRPCInferenceService/ModelInfer"
TIMEOUT_S = 10.0


def call(address: str, message: bytes) -> bytes:
    """Calls ModelInfer over a connection of its own. Raises grpc.RpcError."""
    options = (("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1))
    with grpc.insecure_channel(address, options) as channel:
        method = channel.unary_unary(INFER_METHOD, None, None)
        answer: bytes = method(message, timeout=TIMEOUT_S, wait_for_ready=True)
        return answer
