export { withBootstraps } from './envoy-filter/bootstrap.ts';
export { isGrpcClient, type ScopedSource, type ScopedView, withGrpcClients } from './grpc/source.ts';
export { envoyFilterProblems } from './envoy-filter/index.ts';
export * from './engine/index.ts';
export * from './generated.ts';
export * from './source.ts';
