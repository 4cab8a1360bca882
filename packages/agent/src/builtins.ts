/**
 * Modules of Node taken by function call: an `import` of them reads every export, and some of those load much on being read
 * (HTTP: all of fetch and WebSocket, 12 MB; TLS: the built-in root certificates). Each sidecar would pay for it.
 */
export const http = process.getBuiltinModule('node:http');
export const tls = process.getBuiltinModule('node:tls');
