export * from '@istio-ts/command-line/arguments';
