// `npm run bench [idle]`: the running demo at rest. `npm run bench -- xds`: many simulated sidecars on one istiod (`--help` lists its flags). `npm run bench -- ca`: certificates per second. `npm run bench -- ratelimit`: limits under load. `npm run bench -- telemetry`: what metrics, access logs and traces cost a proxy. `npm run bench -- console`: CPU that a graph of many services costs the console. `npm run bench -- pods`: start-up of pods and memory, on any cluster.
const [which = 'idle'] = process.argv.slice(2);
switch (which) {
  case 'idle':
    await import('./idle.ts');
    break;
  case 'xds':
    await import('./xds/bench.ts');
    break;
  case 'ca':
    await import('./ca/bench.ts');
    break;
  case 'ratelimit':
    await import('./ratelimit/bench.ts');
    break;
  case 'telemetry':
    await import('./telemetry/bench.ts');
    break;
  case 'console':
    await import('./console/bench.ts');
    break;
  case 'pods':
    await import('./pods/bench.ts');
    break;
  default:
    console.log(`there is no benchmark '${which}': idle, xds, ca, ratelimit, telemetry, console or pods`);
    process.exitCode = 1;
}
