"""Does a plan with `mcp` 1.x: it knows the handshake only, and handles the requests of its server one at a time."""

import anyio
import mcp.types as types
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client

from plan import DECLINED, PLAN, Lent, call_all, is_given_up, tell


def wire(value):
    return value.model_dump(mode="json", by_alias=True, exclude_none=True)


def transport():
    server = PLAN["server"]
    return streamable_http_client(server["url"]) if "url" in server else stdio_client(StdioServerParameters(**server))


async def main():
    lent = Lent()

    async def sample(_context, params):
        answer = await lent.sample(wire(params))
        if answer is None:
            return types.ErrorData(code=DECLINED, message="User rejected sampling request")
        return types.CreateMessageResult.model_validate(answer)

    async with (
        transport() as (reading, writing, *_),
        ClientSession(
            reading,
            writing,
            sampling_callback=sample if PLAN["lends"] else None,
            # nothing is remembered of clients that have only the library's name
            client_info=types.Implementation(name="tests-python1", version="1"),
        ) as session,
    ):
        hello = await session.initialize()
        tools = [tool.name for tool in (await session.list_tools()).tools]
        tell("ready", protocol=hello.protocolVersion, server=wire(hello.serverInfo), tools=tools)

        async def call(tool, arguments, progress):
            # the number that the session gives the request that it sends next
            request = session._request_id
            if not is_given_up(arguments):
                return wire(await session.call_tool(tool, arguments, progress_callback=progress))

            async def give_up(scope):
                await lent.giving_up.wait()
                params = types.CancelledNotificationParams(requestId=request, reason="the user gave it up")
                await session.send_notification(types.ClientNotification(types.CancelledNotification(params=params)))
                scope.cancel()

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(give_up, tasks.cancel_scope)
                await session.call_tool(tool, arguments, progress_callback=progress)
            return {"given_up": True}

        await call_all(call, lent)
    tell("end")


anyio.run(main)
