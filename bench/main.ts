// `npm run bench [idle]`: the running demo at rest. `npm run bench -- xds`: many simulated sidecars on one istiod (`--help` lists its flags). `npm run bench -- ca`: certificates per second. `npm run bench -- ratelimit`: limits under load. `npm run bench -- telemetry`: what metrics, access logs and traces cost a proxy.
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
  default:
    console.log(`there is no benchmark '${which}': idle, xds, ca, ratelimit or telemetry`);
    process.exitCode = 1;
}
