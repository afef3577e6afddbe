"""A client of the Model Context Protocol does what a plan says and tells of it, one line of JSON for each event.

The environment has the plan, as JSON, in PLAN:
server      {command, args, cwd, env} to start, or {url} to go to
era         "handshake", or the version of a protocol without one
lends       whether the client has a model to lend
model       base URL of the simulated provider, with /v1: it answers for that model
rounds      lists of calls {tool, arguments}; those of one list are made at once, the next list when all have ended
refuses     the user declines what has this text in it
holds       what has this text in it is never answered
gathers     nothing is answered until so many wait
gives_up    a call with this text in its arguments is given up once this text is to be sampled
leaves      once this text is to be sampled, the client closes the connection
"""

import json
import os
import urllib.request

import anyio
import anyio.to_thread

PLAN = json.loads(os.environ["PLAN"])
DECLINED = -1


def tell(event, **facts):
    print(json.dumps({"event": event, **facts}), flush=True)


def is_in(name, text):
    """Whether the text has what the plan says under this name."""
    return PLAN.get(name) is not None and PLAN[name] in text


def text_of(params):
    """All that the messages of a sampling say."""
    texts = []
    for message in params["messages"]:
        blocks = message["content"]
        for block in blocks if isinstance(blocks, list) else [blocks]:
            texts.append(block.get("text", ""))
    return "\n".join(texts)


def answered_by_the_provider(params):
    messages = [{"role": "user", "content": text_of(params)}]
    if params.get("systemPrompt"):
        messages.insert(0, {"role": "system", "content": params["systemPrompt"]})
    body = {"model": "lent", "messages": messages, "max_tokens": params["maxTokens"]}
    headers = {"content-type": "application/json", "authorization": "Bearer key-of-the-client"}
    request = urllib.request.Request(f"{PLAN['model']}/chat/completions", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["choices"][0]["message"]["content"]


class Lent:
    """The model that the client lends."""

    def __init__(self):
        self.in_flight = 0
        self.gathered = anyio.Event()
        # what somebody waits for: the moment to give up, and the moment to leave
        self.giving_up = anyio.Event()
        self.leaving = anyio.Event()

    async def sample(self, params):
        """The result of `sampling/createMessage`; None where the user declines."""
        text = text_of(params)
        self.in_flight += 1
        tell("sampled", text=text, params=params, in_flight=self.in_flight)
        try:
            return await self._answered(params, text)
        except anyio.get_cancelled_exc_class():
            tell("withdrawn", text=text)
            raise
        finally:
            self.in_flight -= 1

    async def _answered(self, params, text):
        if is_in("gives_up", text):
            self.giving_up.set()
        if is_in("leaves", text):
            self.leaving.set()
        if is_in("holds", text):
            await anyio.sleep_forever()
        if self.in_flight >= (PLAN.get("gathers") or 0):
            self.gathered.set()
        await self.gathered.wait()
        if is_in("refuses", text):
            return None
        said = await anyio.to_thread.run_sync(answered_by_the_provider, params)
        content = {"type": "text", "text": said}
        return {"role": "assistant", "content": content, "model": "lent", "stopReason": "endTurn"}


def is_given_up(arguments):
    return is_in("gives_up", json.dumps(arguments))


async def call_all(call, lent):
    """Makes all calls of the plan, each with `call(tool, arguments, progress)`, which returns the result."""
    number = 0

    async def one(number, tool, arguments):
        async def progress(done, total, message):
            tell("progress", call=number, done=done, total=total, message=message)

        try:
            result = await call(tool, arguments, progress)
            tell("result", call=number, result=result)
        except Exception as error:
            told = getattr(error, "error", None)
            tell("failed", call=number, code=getattr(told, "code", None), message=f"{type(error).__name__}: {error}")

    async def leave(scope):
        await lent.leaving.wait()
        scope.cancel()

    async with anyio.create_task_group() as outer:
        outer.start_soon(leave, outer.cancel_scope)
        for calls in PLAN["rounds"]:
            async with anyio.create_task_group() as tasks:
                for each in calls:
                    tasks.start_soon(one, number, each["tool"], each["arguments"])
                    number += 1
        outer.cancel_scope.cancel()
