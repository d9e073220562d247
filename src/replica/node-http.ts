/**
 * Node's HTTP, without what an import of it costs: to import a module of Node reads all its properties, and the one named WebSocket loads
 * a whole second HTTP client, which takes longer than the rest of the network code together.
 */

export const { Agent, createServer, request, STATUS_CODES } = process.getBuiltinModule("node:http");
