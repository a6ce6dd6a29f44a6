// What a session did, one line a step, and where the exchange is.
//
// The environment names the exchange: HURACAN_REST, HURACAN_WS, HURACAN_WS_API, HURACAN_API_KEY, HURACAN_API_SECRET, as
// `huracan exchange --json` prints them. Packages are found as `require` finds them (NODE_PATH).

import { createRequire } from 'node:module';

const {
  HURACAN_REST: REST, HURACAN_WS: WS, HURACAN_WS_API: WS_API, HURACAN_API_KEY: KEY, HURACAN_API_SECRET: SECRET,
} = process.env;
export { REST, WS, WS_API, KEY, SECRET };

const PATIENCE_MS = 30_000;
let steps = 0;

/** The package, and the first line of the transcript. */
export function load(name) {
  const require = createRequire(import.meta.url);
  const file = require.resolve.paths(name).map((folder) => `${folder}/${name}/package.json`);
  const version = file.map((path) => { try { return require(path).version; } catch { return undefined; } }).find(Boolean);
  console.log(`client ${name} (npm) ${version}`);
  return require(name);
}

export function step(what, seen) {
  steps += 1;
  console.log(`${String(steps).padStart(3)} ${what}${seen === undefined ? '' : `: ${seen}`}`);
}

export function end() {
  console.log(`ok ${steps} steps`);
  process.exit(0);
}

/** What `listen` is told first that is wanted; `listen` takes the function that is to be told. */
export function first(what, listen, wanted = () => true) {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`nothing heard of ${what}`)), PATIENCE_MS);
    listen((message) => {
      if (!wanted(message)) return;
      clearTimeout(late);
      resolve(message);
    });
  });
}

/** Five messages a second are allowed. */
export const pause = () => new Promise((resolve) => { setTimeout(resolve, 250); });

/** The price times `share`, on a grid of 0.01, as text. */
export const near = (price, share) => (Math.floor(Number(price) * share * 100) / 100).toFixed(2);

/** Decimal text as a whole number of 1e-16. */
export function exact(text) {
  const [whole, fraction = ''] = text.split('.');
  return BigInt(whole + fraction.padEnd(16, '0'));
}

export const product = (a, b) => (exact(a) * exact(b)) / 10n ** 16n;

/** Free and locked of one asset in an answer of `account`. */
export const held = (account, asset) => account.balances.filter((b) => b.asset === asset).reduce((sum, b) => sum + exact(b.free) + exact(b.locked), 0n);
