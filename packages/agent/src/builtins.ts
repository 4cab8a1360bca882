/**
 * Node's HTTP/1 module, taken by function call: an `import` of it reads every export, and some of those load the whole of fetch
 * and WebSocket on being read, 12 MB that each sidecar would pay.
 */
export const http = process.getBuiltinModule('node:http');
