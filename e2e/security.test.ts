import { describe } from 'node:test';
import { authentication } from './security/authentication.ts';
import { authorization } from './security/authorization.ts';
import { endUsers } from './security/end-users.ts';
import { externalAuthorization } from './security/external-authorization.ts';
import { ingressAddresses } from './security/ingress-addresses.ts';
import { type Lab, startLab } from './security/lab.ts';
import { origination } from './security/origination.ts';
import { ownAuthority } from './security/own-authority.ts';
import { obstacle } from './support/cluster.ts';
import { ownCluster } from './support/own-cluster.ts';

const reason = obstacle();

describe('tasks of the documentation of security', { skip: reason ?? false }, () => {
  let lab: Lab | undefined;
  ownCluster(async (cluster) => {
    lab = await startLab(cluster);
    for (const namespace of ['foo', 'bar', 'legacy'])
      await lab.applySamples(namespace, 'httpbin/httpbin.yaml', 'curl/curl.yaml');
    for (const namespace of ['foo', 'bar', 'legacy']) await cluster.podsReady(namespace);
  });
  const started = (): Lab => {
    if (!lab) throw new Error('the mesh did not start');
    return lab;
  };
  authentication(started);
  endUsers(started);
  authorization(started);
  ingressAddresses(started);
  origination(started);
  externalAuthorization(started);
});

describe('a mesh with an authority and a trust domain of its own', { skip: reason ?? false }, () => {
  ownAuthority(ownCluster());
});
