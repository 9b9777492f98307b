/** Where events may be sent: to a named host, over TLS, and not into the network that the sender stands in. */
import { lookup, type LookupAddress } from 'node:dns';
import { BlockList, isIP } from 'node:net';
import { Failure } from '../failure.ts';

const MAX_URL = 2000;

/** Addresses of no public network: RFC 6890 and its registries. */
const INNER_4 = blockListOf('ipv4', [
  ...['0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12'],
  ...['192.0.0.0/24', '192.0.2.0/24', '192.88.99.0/24', '192.168.0.0/16', '198.18.0.0/15', '198.51.100.0/24'],
  ...['203.0.113.0/24', '224.0.0.0/4', '240.0.0.0/4'],
]);
/** Outside 2000::/3 are those that hold an address of IPv4, too. A list of its own: `::/3` would hold every IPv4 address. */
const INNER_6 = blockListOf('ipv6', [
  ...['::/3', '2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20', '4000::/2', '8000::/1'],
]);

/**
 * Reads the address of a receiver.
 * @throws Failure WEBHOOK_URL_REFUSED
 */
export function readDestination(text: string): URL {
  const url = text.length <= MAX_URL && URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined) throw refused(`it must be a URL of at most ${MAX_URL} characters`);
  if (url.protocol !== 'https:') throw refused('it must begin with https://');
  if (url.username !== '' || url.password !== '') throw refused('it must hold no name or password');
  if (url.hash !== '') throw refused('it must have no fragment');
  return url;
}

type Resolve = (host: string, use: (error: Error | null, addresses: LookupAddress[]) => void) => void;

/** Called as `dns.lookup` is, by Node.js, once for each connection: it connects to what this has checked. */
type Lookup = (
  host: string,
  options: { readonly all?: boolean | undefined },
  use: (error: Error | null, address: string | LookupAddress[], family?: number) => void,
) => void;

const resolveAll: Resolve = (host, use) => lookup(host, { all: true }, use);

/**
 * Resolves a host and refuses it where one of its addresses is not public.
 * @param resolve - for tests
 */
export function publicLookup(resolve: Resolve = resolveAll): Lookup {
  return (host, { all }, use) => {
    resolve(host, (error, addresses) => {
      const [first] = addresses ?? [];
      if (error !== null) use(error, '');
      else if (first === undefined || addresses.some(({ address }) => isInner(address))) use(notPublic(), '');
      else if (all === true) use(null, addresses);
      else use(null, first.address, first.family);
    });
  };
}

/** Refuses a host that is an inner address itself: it is not looked up. @throws Failure WEBHOOK_URL_REFUSED */
export function requirePublic({ hostname }: URL): void {
  const address = hostname.replace(/^\[|\]$/g, '');
  if (isIP(address) !== 0 && isInner(address)) throw notPublic();
}

function isInner(address: string): boolean {
  return isIP(address) === 6 ? INNER_6.check(address, 'ipv6') : INNER_4.check(address, 'ipv4');
}

function blockListOf(family: 'ipv4' | 'ipv6', ranges: readonly string[]): BlockList {
  const list = new BlockList();
  for (const range of ranges) {
    const [network = '', bits = ''] = range.split('/');
    list.addSubnet(network, Number(bits), family);
  }
  return list;
}

function notPublic(): Failure {
  return refused('its host is in a private network; --private-network allows that');
}

function refused(why: string): Failure {
  const sentence = `The address of the receiver is refused: ${why}.`;
  return new Failure('invalid-argument', 'WEBHOOK_URL_REFUSED', sentence, { field: 'url' });
}
