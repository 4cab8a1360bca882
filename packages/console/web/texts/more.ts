import type { AddonState, ExplainStep } from '../../src/api.ts';

const stages: Readonly<Record<ExplainStep['stage'], string>> = {
  listener: 'Listener',
  'filter-chain': 'Filter chain',
  filter: 'Filter',
  route: 'Route',
  destination: 'Destination',
  endpoint: 'Endpoint',
  end: 'Answer',
};

const verdicts: Readonly<Record<ExplainStep['verdict'], string>> = {
  matched: 'Matched',
  passed: 'Passed',
  changed: 'Changed',
  denied: 'Denied',
  failed: 'Failed',
  unknown: 'Not known',
};

const addonNames: Readonly<Record<AddonState['name'], string>> = {
  prometheus: 'Prometheus',
  tracing: 'Tracing',
  grafana: 'Grafana',
  loki: 'Loki',
};

const addonStates: Readonly<Record<AddonState['state'], string>> = {
  real: 'The well-known program',
  'built-in': 'Built in',
  absent: 'Does not answer',
};

export const explain = {
  title: 'What happens to this request?',
  lead: 'Follows one request through the configuration that a proxy has right now: which listener, policies, route and endpoint, and which of your resources decided. No request is sent.',
  request: 'Request',
  proxy: 'Proxy that is asked',
  proxyHint: 'Outbound: the caller’s. Inbound: the called one’s. From outside: a gateway’s.',
  direction: 'Direction',
  outbound: 'Outbound',
  inbound: 'Inbound',
  method: 'Method',
  url: 'Address',
  urlHint: 'With host, port and path, such as http://cartservice:7070/items',
  headers: 'Headers',
  headersHint: 'One per line: name: value',
  caller: 'Caller’s identity',
  callerHint: 'spiffe://cluster.local/ns/default/sa/frontend; empty: without mutual TLS',
  claims: 'Claims of a verified token',
  claimsHint: 'JSON, such as {"iss": "me", "groups": ["admin"]}',
  badClaims: 'This is not a JSON object.',
  badHeader: (line: string) => `“${line}” is not “name: value”.`,
  ask: 'Explain',
  asking: 'Asking …',
  steps: 'Step by step',
  stages,
  verdicts,
  decidedBy: 'Decided by',
  others: (number: number) => `${number} other${number === 1 ? '' : 's'} looked at`,
  proxyAnswers: (status: number) => `The proxy itself answers with ${status}.`,
  applicationAnswers: 'The request reaches the application.',
  passedOn: 'The proxy lets the request pass.',
  nothingYet: 'No request yet',
  nothingYetHelp:
    'Choose a proxy and describe a request on the left. The steps appear here, each with the resource that decided.',
  noProxies: 'No proxy is connected.',
} as const;

export const login = {
  title: 'Sign in',
  lead: 'The console acts with your own rights at the Kubernetes API: give a token of a user or a service account.',
  token: 'Token',
  tokenHint: 'It is kept in this browser’s session only.',
  submit: 'Sign in',
  how: 'How to get a token',
  howText: 'For a service account that may read the mesh:',
  failed: 'This token was not accepted',
} as const;

export const settings = {
  title: 'Settings',
  lead: 'Kept in this browser.',
  look: 'Look',
  theme: 'Colours',
  themes: { system: 'As the system', light: 'Light', dark: 'Dark' },
  motion: 'Moving traffic in the graph',
  data: 'Data',
  refresh: 'Read again',
  refreshHint: 'Hidden tabs do not ask.',
  about: 'About',
  version: 'Console',
  meshVersions: 'Mesh',
  cluster: 'Cluster',
  istioNamespace: 'Control plane’s namespace',
  user: 'Signed in as',
  anonymous: 'Not signed in (anonymous)',
  rights: 'Rights',
  mayWrite: 'May change configuration',
  readOnlyWhy: 'Nothing can be changed: you are not signed in, or the console was started read-only.',
  addons: 'Programs beside the mesh',
  addonNames,
  addonStates,
  absent: (name: AddonState['name']) => `${addonNames[name]} does not answer`,
  absentHelp: (address: string) => `This page reads from ${address}. Install the addons to see something here.`,
  shortcuts: 'Keys',
  shortcutList: [
    ['Arrow keys', 'Graph: the next node; tabs: the next tab; waterfall: the next span'],
    ['Shift + arrows', 'Graph: move the view'],
    ['+ − 0', 'Graph: zoom in, out, fit'],
    ['Enter', 'Graph: select the node'],
    ['Escape', 'Close, deselect, or clear a search'],
    ['Ctrl + Space', 'Editor: names of fields'],
    ['F8', 'Editor: the next message'],
    ['Escape, then Tab', 'Editor: leave it'],
  ],
} as const;
