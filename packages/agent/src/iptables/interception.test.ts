import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { after, before, test } from 'node:test';
import { parseArguments } from '../cli/arguments.ts';
import { IPTABLES_FLAGS, nameServers, readInterception } from '../cli/iptables-command.ts';
import { applyInterception } from './apply.ts';
import { interceptionRules } from './rules.ts';
import { restoreScript } from './script.ts';
import { DEFAULT_INTERCEPTION, InterceptionError, validateInterception } from './settings.ts';
import type { InterceptionSettings } from './settings.ts';

const everything: InterceptionSettings = { ...DEFAULT_INTERCEPTION, inboundPorts: ['*'], outboundCidrs: ['*'] };
const root = process.getuid?.() === 0;
const ns = `agent-ipt-${process.pid}`;
const peer = `${ns}-c`;
const path = `/run/netns/${ns}`;
const ip = (...words: string[]): string => execFileSync('ip', words, { encoding: 'utf8' });

before(() => {
  if (!root) return;
  for (const name of [ns, peer]) {
    ip('netns', 'add', name);
    ip('-n', name, 'link', 'set', 'lo', 'up');
  }
  ip('-n', ns, 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', peer);
  ip('-n', ns, 'addr', 'add', '10.9.9.1/24', 'dev', 'eth0');
  ip('-n', peer, 'addr', 'add', '10.9.9.2/24', 'dev', 'eth0');
  for (const name of [ns, peer]) ip('-n', name, 'link', 'set', 'eth0', 'up');
});
after(() => {
  if (!root) return;
  for (const name of [ns, peer]) ip('netns', 'del', name);
});

test('the flags of the injected init container give the usual settings', () => {
  const args = parseArguments(
    [
      '-p',
      '15001',
      '-z',
      '15006',
      '-u',
      '1337',
      '-m',
      'REDIRECT',
      '-i',
      '*',
      '-x',
      '10.1.0.0/16',
      '-b',
      '*',
      '-d',
      '15090,15021,15020',
      '--log_output_level=x',
    ],
    [...IPTABLES_FLAGS, { name: 'log_output_level', kind: 'text', help: '' }],
  );
  const settings = readInterception(args, {}, 'search a b\nnameserver 10.96.0.10\n');
  assert.deepEqual(settings, {
    ...everything,
    excludedInboundPorts: ['15090', '15021', '15020'],
    excludedOutboundCidrs: ['10.1.0.0/16'],
    dnsServers: ['10.96.0.10'],
  });
  assert.deepEqual(nameServers('# nameserver 1.1.1.1\nnameserver fe80::1%eth0\n'), ['fe80::1']);
});

test('values that do not belong into a rule are refused with the flag', () => {
  const bad: readonly [Partial<InterceptionSettings>, RegExp][] = [
    [{ excludedInboundPorts: ['80 -j ACCEPT'] }, /--istio-local-exclude-ports/],
    [{ outboundCidrs: ['10.0.0.0/99'] }, /--istio-service-cidr/],
    [{ excludedOutboundCidrs: ['a;b'] }, /--istio-service-exclude-cidr/],
    [{ proxyUids: ['1337\n-A'] }, /--proxy-uid/],
    [{ virtualInterfaces: ['net1 -j'] }, /--kube-virt-interfaces/],
    [{ tproxyMark: 'x' }, /tproxy-mark/],
  ];
  for (const [change, message] of bad) {
    assert.throws(
      () => validateInterception({ ...everything, ...change }),
      (error) => error instanceof InterceptionError && message.test(error.message),
    );
  }
});

test("a second application deletes its own jumps and nobody else's", () => {
  const rules = interceptionRules(everything, 4);
  const saved =
    '*nat\n:PREROUTING ACCEPT [0:0]\n:ISTIO_OUTPUT - [0:0]\n:ISTIO_OUTBOUND_VIRT - [0:0]\n:OTHER - [0:0]\n-A OUTPUT -j ISTIO_OUTPUT\n-A OUTPUT -j OTHER\nCOMMIT\n';
  const script = restoreScript(rules, saved);
  assert.match(script, /^-D OUTPUT -j ISTIO_OUTPUT$/m);
  assert.match(script, /^-X ISTIO_OUTBOUND_VIRT$/m);
  assert.doesNotMatch(script, /OTHER/);
  assert.equal(restoreScript([], '*nat\n:OTHER - [0:0]\nCOMMIT\n'), '');
});

/** Runs a command as `uid` inside a namespace. */
function inside(name: string, uid: number, ...command: string[]): Promise<string> {
  return new Promise((resolve) => {
    const child = spawn('nsenter', [
      `--net=/run/netns/${name}`,
      '--setuid',
      String(uid),
      '--setgid',
      String(uid),
      '--',
      ...command,
    ]);
    let text = '';
    child.stdout.on('data', (chunk) => {
      text += chunk;
    });
    child.on('close', () => resolve(text.trim()));
  });
}

/** Listens on these ports in the namespace and answers with its port's number. */
async function listeners(name: string, ports: readonly number[]): Promise<{ stop(): void }> {
  const code = `const net=require('net');let n=0;const ports=${JSON.stringify(ports)};for(const p of ports){net.createServer(s=>{s.on('error',()=>{});s.end(String(p))}).listen(p,'0.0.0.0',()=>{if(++n===ports.length)console.log('up')})}`;
  const child = spawn('nsenter', [`--net=/run/netns/${name}`, '--', process.execPath, '-e', code]);
  await new Promise<void>((resolve) => child.stdout.once('data', () => resolve()));
  return { stop: () => child.kill() };
}

/** Connects and gives what the other side says. */
const dial = (name: string, uid: number, host: string, port: number): Promise<string> =>
  inside(name, uid, 'bash', '-c', `exec 3<>/dev/tcp/${host}/${port} && timeout 3 cat <&3`);

test('real traffic goes where the rules say, and a repetition changes nothing', { skip: !root }, async () => {
  const apply = (settings: InterceptionSettings, cleanupOnly = false): void =>
    applyInterception(settings, { families: [4, 6], networkNamespace: path, cleanupOnly, print: () => undefined });
  const save = (): string =>
    execFileSync('nsenter', [`--net=${path}`, '--', 'iptables-nft-save'], { encoding: 'utf8' }).replace(/^#.*$/gm, '');
  const settings: InterceptionSettings = {
    ...everything,
    excludedInboundPorts: ['9001'],
    excludedOutboundPorts: ['9002'],
    excludedOutboundCidrs: ['10.9.9.128/25'],
  };
  apply(settings);
  const first = save();
  assert.match(first, /-A ISTIO_IN_REDIRECT -p tcp -j REDIRECT --to-ports 15006/);
  apply(settings);
  assert.equal(save(), first);

  const pod = await listeners(ns, [15001, 15006, 9000, 9001, 15020]);
  const outside = await listeners(peer, [9000, 9002]);
  try {
    // Inbound: captured, except excluded and the proxy's own ports.
    assert.equal(await dial(peer, 0, '10.9.9.1', 9000), '15006');
    assert.equal(await dial(peer, 0, '10.9.9.1', 9001), '9001');
    assert.equal(await dial(peer, 0, '10.9.9.1', 15020), '15020');
    // Outbound: the application is captured, the proxy is not.
    assert.equal(await dial(ns, 1000, '10.9.9.2', 9000), '15001');
    assert.equal(await dial(ns, 1337, '10.9.9.2', 9000), '9000');
    assert.equal(await dial(ns, 1000, '10.9.9.2', 9002), '9002');
    // Loopback stays; the application reaches itself by its own address; the proxy's calls to its pod come in again.
    assert.equal(await dial(ns, 1000, '127.0.0.1', 9000), '9000');
    assert.equal(await dial(ns, 1000, '10.9.9.1', 9000), '9000');
    assert.equal(await dial(ns, 1337, '10.9.9.1', 9000), '15006');
  } finally {
    pod.stop();
    outside.stop();
  }
  apply(settings, true);
  assert.doesNotMatch(save(), /ISTIO/);
});

test('TPROXY and DNS rules are accepted by the kernel and go away again', { skip: !root }, () => {
  const settings: InterceptionSettings = {
    ...everything,
    mode: 'TPROXY',
    redirectDns: true,
    dnsServers: ['10.96.0.10', 'fd00::a'],
    virtualInterfaces: ['net1'],
    excludedInterfaces: ['eth9'],
    outboundPorts: ['6379'],
    outboundGroups: ['101'],
    excludedOutboundGroups: ['202'],
    dropInvalid: true,
    inboundPorts: ['80', '443'],
  };
  const options = { families: [4, 6] as const, networkNamespace: path, print: () => undefined };
  // As where a CNI plugin is called before the container runtime has brought the loopback up.
  ip('-n', ns, 'link', 'set', 'lo', 'down');
  applyInterception(settings, options);
  const save = (program: string): string =>
    execFileSync('nsenter', [`--net=${path}`, '--', program], { encoding: 'utf8' }).replace(/^#.*$/gm, '');
  const once = save('iptables-nft-save');
  assert.match(once, /-A ISTIO_TPROXY .*-j TPROXY --on-port 15006/);
  assert.match(save('ip6tables-nft-save'), /-A ISTIO_OUTPUT_DNS -d fd00::a\/128 -p udp .*--to-ports 15053/);
  assert.match(ip('-n', ns, 'rule', 'show'), /fwmark 0x539 lookup 133/);
  applyInterception(settings, options);
  assert.equal(save('iptables-nft-save'), once);
  applyInterception(settings, { ...options, cleanupOnly: true });
  for (const program of ['iptables-nft-save', 'ip6tables-nft-save']) assert.doesNotMatch(save(program), /^-A/m);
});

test('without the right to change rules the error says what is needed', { skip: !root }, async () => {
  const code = `import('${import.meta.dirname}/apply.ts').then(m=>{try{m.applyInterception(JSON.parse(process.argv[1]),{families:[4],print(){}})}catch(e){console.log(e.name+': '+e.message)}})`;
  const text = await inside(ns, 65534, process.execPath, '--input-type=module', '-e', code, JSON.stringify(everything));
  assert.match(text, /RuleApplyError: .*NET_ADMIN/);
});
