import { type Entry, directory, file } from '../tar/entry.ts';

/** Users by name, with the ids that images and charts use. */
const USERS = [
  { name: 'root', id: 0, home: '/root' },
  { name: 'daemon', id: 1, home: '/usr/sbin' },
  { name: 'curl_user', id: 100, home: '/home/curl_user', group: 101 },
  { name: 'redis', id: 999, home: '/data' },
  { name: 'app', id: 1000, home: '/home/app' },
  { name: 'istio-proxy', id: 1337, home: '/home/istio-proxy' },
  { name: 'addon', id: 10001, home: '/home/addon' },
  { name: 'nobody', id: 65534, home: '/nonexistent' },
] as const;

const groupOf = (user: (typeof USERS)[number]): number => ('group' in user ? user.group : user.id);

/** `/etc/passwd`, `/etc/group` and what the C library reads besides; nobody has a password or a shell. */
export function userFiles(): Entry[] {
  const passwd = USERS.map((user) => `${user.name}:x:${user.id}:${groupOf(user)}::${user.home}:/usr/sbin/nologin\n`);
  const group = USERS.map((user) => `${user.name}:x:${groupOf(user)}:\n`);
  return [
    file('etc/passwd', passwd.join('')),
    file('etc/group', group.join('')),
    file('etc/nsswitch.conf', 'passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n'),
    ...USERS.filter(({ home, id }) => home.startsWith('/home/') && id !== 100).map((user) =>
      directory(user.home.slice(1), 0o755, { user: user.id, group: groupOf(user) }),
    ),
  ];
}
