// What stands in a release archive beside bin/istioctl.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { filesBelow } from './executable.mjs';

const isManifest = (path) =>
  /\.(ya?ml|md|json|sh)$/.test(path) && !/(^|\/)(src|node_modules)\/|package\.json$/.test(path);

/** Fills `target` with charts, samples, tools and the ready-made manifests; `istioctl` is how a built one is started, which writes completions and manifests. */
export function layOutRelease({ root, manifests, version, target, istioctl }) {
  const text = (path, content) => {
    mkdirSync(dirname(join(target, path)), { recursive: true });
    writeFileSync(join(target, path), content);
  };
  const said = (...args) => {
    const [command, ...first] = istioctl;
    const { status, stdout, stderr } = spawnSync(command, [...first, ...args], {
      encoding: 'utf8',
      maxBuffer: 256 * 1024 * 1024,
    });
    if (status !== 0) throw new Error(`istioctl ${args.join(' ')} failed: ${stderr}`);
    return stdout;
  };
  cpSync(manifests, join(target, 'manifests'), { recursive: true });
  for (const path of filesBelow(join(root, 'samples')).filter(isManifest))
    text(join('samples', path), readFileSync(join(root, 'samples', path), 'utf8'));
  cpSync(join(root, 'tools', 'certs'), join(target, 'tools', 'certs'), { recursive: true });
  text('tools/istioctl.bash', said('completion', 'bash'));
  text('tools/_istioctl', said('completion', 'zsh'));
  text('tools/istioctl.fish', said('completion', 'fish'));
  text('tools/istioctl.ps1', said('completion', 'powershell'));

  // The first tutorials install with kubectl alone, from these paths.
  const namespace = 'apiVersion: v1\nkind: Namespace\nmetadata:\n  name: istio-system\n---\n';
  const demo = said('manifest', 'generate', '--set', 'profile=demo');
  text('install/kubernetes/istio-demo.yaml', namespace + demo);
  text('install/kubernetes/istio-demo-auth.yaml', `${namespace}${demo.trimEnd()}\n---\n${strictMutualTls}`);
  const definitions = join(manifests, 'base', 'files', 'crds');
  text(
    'install/kubernetes/helm/istio/templates/crds.yaml',
    readdirSync(definitions)
      .sort()
      .map((file) => readFileSync(join(definitions, file), 'utf8').trimEnd())
      .join('\n---\n')
      .concat('\n'),
  );

  cpSync(join(root, 'LICENSE'), join(target, 'LICENSE'));
  text('manifest.yaml', `version: ${version}\nhub: docker.io/istio\n`);
  text('README.md', readme(version));
}

const strictMutualTls = `apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata:
  name: default
  namespace: istio-system
spec:
  mtls:
    mode: STRICT
`;

const readme = (version) => `# istio-ts ${version}
- \`bin/istioctl\`: the client, one file that needs nothing else; it may be copied to any folder of the PATH.
- \`manifests/\`: Helm charts and the profiles of istioctl.
- \`samples/\`: applications to try the mesh with.
- \`tools/\`: shell completion (\`istioctl.bash\`, \`_istioctl\` for zsh, \`istioctl.fish\`, \`istioctl.ps1\`) and commands for certificate authorities.
- \`install/kubernetes/\`: the demo profile for kubectl alone; \`istio-demo-auth.yaml\` allows mutual TLS only.

On a cluster whose nodes have not got the images, name the registry that you published them in: the default, \`docker.io/istio\`, is that of Istio itself.

\`\`\`
export PATH=$PWD/bin:$PATH
istioctl install --set profile=demo --set hub=registry.example/mesh --set tag=${version} -y
kubectl label namespace default istio-injection=enabled
kubectl apply -f samples/httpbin/httpbin.yaml
\`\`\`
`;
