export type { CallOptions, ClientStream, GrpcChannel, GrpcChannelOptions, GrpcTarget } from './grpc/client.ts';
export { openGrpcChannel } from './grpc/client.ts';
export type { MessageParts } from './grpc/framing.ts';
export { MessageParser } from './grpc/framing.ts';
export { reflectionMethods } from './grpc/reflection.ts';
export type {
  GrpcServer,
  GrpcServerOptions,
  MethodHandler,
  Peer,
  ServerCall,
  StreamHandler,
  UnaryHandler,
} from './grpc/server.ts';
export { createGrpcServer, uriNames } from './grpc/server.ts';
export type { GrpcStatusName } from './grpc/status.ts';
export { GrpcError, GrpcStatus } from './grpc/status.ts';
