"""Runs checks of one client, one line of JSON for each, and exits with 1 where one fails.

The environment says what stands at the other end:
BASE_URL    the endpoint, without /v1
SIM_URL     the simulated provider behind it (the endpoint itself where there is no gateway)
MODELS      models to talk to, separated by commas
GATEWAY     set where the endpoint is a gateway
"""

import base64
import inspect
import json
import os
import sys
import time
import traceback
import urllib.request

BASE_URL = os.environ["BASE_URL"]
SIM_URL = os.environ["SIM_URL"]
MODELS = os.environ["MODELS"].split(",")
GATEWAY = "GATEWAY" in os.environ
KEY = os.environ.get("KEY", "key-of-the-caller")

# one white pixel
PNG = base64.b64encode(
    bytes.fromhex(
        "89504e470d0a1a0a0000000d4948445200000001000000010804000000b51c0c02"
        "0000000b4944415478da63fcff1f0003030200efa2a75b0000000049454e44ae426082"
    )
).decode()

PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "unit": {"enum": ["celsius", "fahrenheit"]}},
    "required": ["city", "unit"],
    "additionalProperties": False,
}

_checks = []


def check(only=None):
    """Registers a check; one that takes a `model` runs for each model, or for those whose name has `only` in it."""

    def register(function):
        _checks.append((function, only))
        return function

    return register


def behind_gateway(function):
    """Registers a check that only a gateway can pass."""
    if GATEWAY:
        _checks.append((function, None))
    return function


def recent(marker):
    """The last request at the provider whose body has this text in it, as it came."""
    with urllib.request.urlopen(f"{SIM_URL}/sim/recent") as answer:
        requests = json.load(answer)
    for request in requests:
        if marker in json.dumps(request["body"]):
            return request
    raise AssertionError(f"no request with {marker} reached the provider: {requests}")


def posted(base, path, body, headers=()):
    """The bytes that an endpoint answers, untouched by any client."""
    headers = {"content-type": "application/json", "authorization": f"Bearer {KEY}", **dict(headers)}
    request = urllib.request.Request(f"{base}{path}", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request) as answer:
        return answer.read()


def run():
    failed = 0
    for function, only in _checks:
        models = [None]
        if "model" in inspect.signature(function).parameters:
            models = [model for model in MODELS if not GATEWAY or only is None or only in model]
        for model in models:
            started = time.monotonic()
            line = {"check": function.__name__, "model": model}
            try:
                function() if model is None else function(model)
            except Exception:
                failed += 1
                line["failed"] = traceback.format_exc().splitlines()[-12:]
            line["ms"] = round(1000 * (time.monotonic() - started))
            print(json.dumps(line), flush=True)
    sys.exit(1 if failed or not _checks else 0)
