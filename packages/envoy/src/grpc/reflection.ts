import { decode } from '../decode.ts';
import { encode } from '../encode.ts';
import { registry } from '../registry.ts';
import type { MethodHandler, ServerCall } from './server.ts';
import { GrpcStatus } from './status.ts';

const VERSIONS = ['v1', 'v1alpha'] as const;

/**
 * The reflection service (grpc.io, "GRPC Server Reflection Protocol") for servers with these services, so that tools
 * such as grpcurl can call them without .proto files.
 */
export function reflectionMethods(services: readonly string[]): Record<string, MethodHandler> {
  const methods: Record<string, MethodHandler> = {};
  for (const version of VERSIONS) {
    methods[`/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`] = {
      kind: 'stream',
      handle: (call) => serve(call, version, services),
    };
  }
  return methods;
}

async function serve(call: ServerCall, version: (typeof VERSIONS)[number], services: readonly string[]): Promise<void> {
  for await (const bytes of call.messages()) {
    // The two versions of the protocol have the same messages.
    const request = decode('grpc.reflection.v1.ServerReflectionRequest', bytes);
    const symbol = request.fileByFilename ?? request.fileContainingSymbol;
    const file = symbol === undefined ? undefined : registry().fileDescriptor(symbol);
    const all = [...services, `grpc.reflection.${version}.ServerReflection`].sort();
    const answer =
      request.listServices !== undefined
        ? { listServicesResponse: { service: all.map((name) => ({ name })) } }
        : file !== undefined
          ? { fileDescriptorResponse: { fileDescriptorProto: [Buffer.from(file).toString('base64')] } }
          : { errorResponse: { errorCode: GrpcStatus.NOT_FOUND, errorMessage: `${symbol ?? 'that'} is not known` } };
    await call.write(
      encode('grpc.reflection.v1.ServerReflectionResponse', {
        validHost: request.host,
        originalRequest: request,
        ...answer,
      }),
    );
  }
}
