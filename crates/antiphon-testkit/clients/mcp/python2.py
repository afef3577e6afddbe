"""Does a plan with `mcp` 2.x: it knows both eras, and handles the requests of its server at once."""

import warnings

import anyio
import mcp_types as types
from mcp import Client, MCPDeprecationWarning, StdioServerParameters

from plan import DECLINED, PLAN, Lent, call_all, is_given_up, tell


def wire(value):
    return value.model_dump(mode="json", by_alias=True, exclude_none=True)


async def main():
    lent = Lent()
    server = PLAN["server"]
    era = PLAN["era"]

    async def sample(_context, params):
        answer = await lent.sample(wire(params))
        if answer is None:
            return types.ErrorData(code=DECLINED, message="User rejected sampling request")
        return types.CreateMessageResult.model_validate(answer)

    client = Client(
        server["url"] if "url" in server else StdioServerParameters(**server),
        sampling_callback=sample if PLAN["lends"] else None,
        # nothing is remembered of clients that have only the library's name
        client_info=types.Implementation(name="tests-python2", version="1"),
        mode="legacy" if era == "handshake" else era,
    )
    async with client:
        tools = [tool.name for tool in (await client.list_tools()).tools]
        info = client.server_info
        tell("ready", protocol=client.protocol_version, server=info and wire(info), tools=tools)

        async def call(tool, arguments, progress):
            if not is_given_up(arguments):
                return wire(await client.call_tool(tool, arguments, progress_callback=progress))

            async def give_up(scope):
                await lent.giving_up.wait()
                scope.cancel()

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(give_up, tasks.cancel_scope)
                await client.call_tool(tool, arguments, progress_callback=progress)
            return {"given_up": True}

        await call_all(call, lent)
    tell("end")


warnings.simplefilter("ignore", MCPDeprecationWarning)
anyio.run(main)
