export * from './engine/index.ts';
export { withBootstraps } from './envoy-filter/bootstrap.ts';
export { envoyFilterProblems } from './envoy-filter/index.ts';
export * from './generated.ts';
export { isGrpcClient, type ScopedSource, type ScopedView, withGrpcClients } from './grpc/source.ts';
export * from './source.ts';
export { telemetryProblems } from './telemetry/problems.ts';
