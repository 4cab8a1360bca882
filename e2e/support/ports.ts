export { freePorts } from '@istio-ts/envoy/testing/free-port';
