// Does a plan with `@modelcontextprotocol/sdk`, which knows the handshake only.
import { DECLINED, PLAN, carryOut, load, sample } from "./plan.mjs";

const { Client } = load("@modelcontextprotocol/sdk/client/index.js");
const { StdioClientTransport } = load("@modelcontextprotocol/sdk/client/stdio.js");
const { StreamableHTTPClientTransport } = load("@modelcontextprotocol/sdk/client/streamableHttp.js");
const { CreateMessageRequestSchema, McpError } = load("@modelcontextprotocol/sdk/types.js");

const { url, ...command } = PLAN.server;
const transport = url ? new StreamableHTTPClientTransport(new URL(url)) : new StdioClientTransport(command);
const capabilities = PLAN.lends ? { sampling: {} } : {};
const client = new Client({ name: "typescript1", version: "1" }, { capabilities });
if (PLAN.lends) {
  client.setRequestHandler(CreateMessageRequestSchema, async ({ params }, { signal }) => {
    const answer = await sample(params, signal);
    if (answer === null) throw new McpError(DECLINED, "User rejected sampling request");
    return answer;
  });
}
// the transport learns it at the handshake, to say it in every request
let protocol;
const setProtocolVersion = transport.setProtocolVersion?.bind(transport);
transport.setProtocolVersion = (version) => {
  protocol = version;
  setProtocolVersion?.(version);
};
const call = (what, options) => client.callTool(what, undefined, options);
await carryOut({ client, transport, protocol: () => protocol, call });
