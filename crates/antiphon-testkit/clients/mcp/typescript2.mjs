// Does a plan with `@modelcontextprotocol/client`, which knows both eras.
import { DECLINED, PLAN, carryOut, load, sample } from "./plan.mjs";

const { Client, ProtocolError, StreamableHTTPClientTransport } = load("@modelcontextprotocol/client");
const { StdioClientTransport } = load("@modelcontextprotocol/client/stdio");

const { url, ...command } = PLAN.server;
const transport = url ? new StreamableHTTPClientTransport(new URL(url)) : new StdioClientTransport(command);
const client = new Client(
  { name: "typescript2", version: "1" },
  {
    capabilities: PLAN.lends ? { sampling: {} } : {},
    versionNegotiation: { mode: PLAN.era === "handshake" ? "legacy" : { pin: PLAN.era } },
  },
);
if (PLAN.lends) {
  client.setRequestHandler("sampling/createMessage", async ({ params }, context) => {
    const answer = await sample(params, context?.mcpReq?.signal);
    if (answer === null) throw new ProtocolError(DECLINED, "User rejected sampling request");
    return answer;
  });
}
const call = (what, options) => client.callTool(what, options);
await carryOut({ client, transport, protocol: () => client.getNegotiatedProtocolVersion(), call });
