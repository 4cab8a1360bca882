"""gRPC's Python library (its C core) as a server or a client of the mesh, for tests. What it knows of the mesh comes from GRPC_XDS_BOOTSTRAP alone.

echo.py serve ADDRESS:PORT NAME    answers with NAME, its port's security as the control plane says; prints "ready"
echo.py call                       reads calls from its input, one JSON object a line, and prints their results the same way
"""
import json
import sys
import time
from concurrent import futures

import grpc
from grpc import experimental

METHODS = ("Say", "Slow", "Forbidden", "Flaky")
TEXT = dict(request_deserializer=bytes.decode, response_serializer=str.encode)


def serve(address, name):
    failures = {}

    def answer(method):
        def handle(text, context):
            while method == "Slow" and context.is_active():
                time.sleep(0.05)
            if method == "Flaky":
                # The first attempt of each call fails.
                failures[text] = failures.get(text, 0) + 1
                if failures[text] == 1:
                    context.abort(grpc.StatusCode.UNAVAILABLE, "try again")
            peer = context.auth_context().get("x509_subject_alternative_name", [])
            uris = [uri.decode() for uri in peer if uri.startswith(b"spiffe:")]
            return json.dumps({"from": name, "text": text, "peer": uris, "attempt": failures.get(text, 1)})

        return grpc.unary_unary_rpc_method_handler(handle, **TEXT)

    server = grpc.server(futures.ThreadPoolExecutor(max_workers=8), xds=True)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("echo.Echo", {method: answer(method) for method in METHODS}),)
    )
    credentials = grpc.xds_server_credentials(grpc.insecure_server_credentials())
    server.add_secure_port(address, credentials)
    server.start()
    print("ready", flush=True)
    server.wait_for_termination()


def call_all():
    channels = {}
    for line in sys.stdin:
        order = json.loads(line)
        key = (order["target"], order.get("secure", True))
        if key not in channels:
            fallback = experimental.insecure_channel_credentials()
            channels[key] = grpc.secure_channel(order["target"], grpc.xds_channel_credentials(fallback) if key[1] else fallback)
        call = channels[key].unary_unary(
            "/echo.Echo/" + order.get("method", "Say"), request_serializer=str.encode, response_deserializer=bytes.decode
        )
        try:
            text = call(
                order.get("text", "hello"),
                timeout=order.get("timeout", 15),
                metadata=list(order.get("metadata", {}).items()),
                wait_for_ready=order.get("wait", True),
            )
            print(json.dumps({"ok": True, **json.loads(text)}), flush=True)
        except grpc.RpcError as error:
            print(json.dumps({"ok": False, "code": error.code().name, "details": error.details()}), flush=True)


if sys.argv[1] == "serve":
    serve(sys.argv[2], sys.argv[3])
else:
    call_all()
