// An OpenID Provider for tests: node-oidc-provider, a certified library, over HTTPS. Its checks are untouched; what is set
// here is what an operator may set, in one of two shapes. Clients register themselves, each test its own.
import dns from 'node:dns';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { parseArgs } from 'node:util';
import Provider from 'oidc-provider';
import MemoryAdapter from 'oidc-provider/lib/adapters/memory_adapter.js';
import LRU from 'oidc-provider/lib/helpers/lru.js';
import { Interactions, page } from './pages.mjs';

const { values: args } = parseArgs({
  options: {
    shape: { type: 'string' },
    issuer: { type: 'string' },
    listen: { type: 'string' },
    cert: { type: 'string' },
    key: { type: 'string' },
  },
});

const USERS = {
  alice: ['k8s-admins', 'staff'],
  victor: ['k8s-viewers', 'staff'],
  nora: [],
};

// `sub` is not the login, as with most providers: who mixes them up shall see it.
const subject = (login) => `sub-${login}`;

function account(sub, emailVerified) {
  const login = sub.replace(/^sub-/, '');
  const groups = USERS[login];
  return groups && {
    accountId: sub,
    claims: () => ({
      sub,
      name: login[0].toUpperCase() + login.slice(1),
      preferred_username: login,
      email: `${login}@rig.test`,
      email_verified: emailVerified,
      groups,
    }),
  };
}

const PROFILE = ['name', 'preferred_username'];
const EMAIL = ['email', 'email_verified'];

const SHAPES = {
  // As the specifications have it: claims of a scope come from userinfo, not in the ID token.
  plain: {
    emailVerified: true,
    claims: { openid: ['sub'], profile: PROFILE, email: EMAIL, groups: ['groups'] },
    conformIdTokenClaims: true,
  },
  // As Authentik has it: groups within `profile`, everything in the ID token, and no address is ever called verified.
  authentik: {
    emailVerified: false,
    claims: { openid: ['sub'], profile: [...PROFILE, 'groups'], email: EMAIL },
    conformIdTokenClaims: false,
    offlineWithoutAsking: true,
  },
};

function signingKeys() {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' });
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' });
  return [{ ...rsa, alg: 'RS256', use: 'sig', kid: 'rig-rs256' }, { ...ec, alg: 'ES256', use: 'sig', kid: 'rig-es256' }];
}

function configuration(shape, mount) {
  // The library's own store in memory, with room: its default forgets the first clients after some hundred logins.
  const store = new LRU({ maxSize: 1_000_000 });
  return {
    adapter: (model) => new MemoryAdapter(model, store),
    claims: shape.claims,
    conformIdTokenClaims: shape.conformIdTokenClaims,
    cookies: { keys: [randomBytes(32).toString('hex')] },
    features: {
      backchannelLogout: { enabled: true },
      devInteractions: { enabled: false },
      introspection: { enabled: true },
      registration: { enabled: true, initialAccessToken: false },
      revocation: { enabled: true },
      rpInitiatedLogout: {
        enabled: true,
        logoutSource(ctx, form) {
          ctx.body = page('Sign out', `${form}<button form="op.logoutForm" name="logout" value="yes">Sign out</button>`);
        },
        postLogoutSuccessSource(ctx) {
          ctx.body = page('Signed out', '');
        },
      },
    },
    // Without the library's guard against private addresses: here, every site has one.
    fetch: (url, { dispatcher, ...options }) => fetch(url, options),
    findAccount: (ctx, sub) => account(sub, shape.emailVerified),
    interactions: { url: (ctx, interaction) => `${mount}/interaction/${interaction.uid}` },
    jwks: { keys: signingKeys() },
    pkce: { required: () => true },
    renderError(ctx, out) {
      ctx.type = 'text';
      ctx.body = Object.entries(out).map(([name, value]) => `${name}: ${value}\n`).join('');
    },
    ttl: {
      AccessToken: 3600,
      AuthorizationCode: 60,
      Grant: 86400,
      IdToken: 3600,
      Interaction: 600,
      RefreshToken: 86400,
      Session: 86400,
    },
  };
}

// The library drops offline_access unless the client asks for consent, as OpenID Connect has it. Authentik does not want
// that: where a client relies on this, its consent is asked here in its place.
function askConsentForOffline(url) {
  const [path, query] = url.split('?');
  const parameters = new URLSearchParams(query);
  const offline = parameters.get('scope')?.split(' ').includes('offline_access');
  if (path !== '/auth' || !offline || parameters.has('prompt')) return url;
  parameters.set('prompt', 'consent');
  return `${path}?${parameters}`;
}

// The library under the issuer's path, which is what `originalUrl` is for; other paths are nobody's.
function handler(provider, shape, mount) {
  const callback = provider.callback();
  const interactions = new Interactions(provider, (login) => login in USERS && subject(login));
  return async (req, res) => {
    if (!req.url.startsWith(`${mount}/`)) return res.writeHead(404).end();
    req.originalUrl = req.url;
    req.url = req.url.slice(mount.length);
    if (await interactions.handle(req, res)) return;
    if (shape.offlineWithoutAsking) {
      req.url = askConsentForOffline(req.url);
      req.originalUrl = mount + req.url;
    }
    callback(req, res);
  };
}

// Sites of the rig have no DNS on the machine; all of them are on the address that this listens on last.
function resolveSites(address) {
  const lookup = dns.lookup;
  dns.lookup = (name, options, done) => lookup(name.endsWith('.rig.test') ? address : name, options, done);
}

const shape = SHAPES[args.shape];
const issuer = new URL(args.issuer);
const mount = issuer.pathname.replace(/\/$/, '');
const addresses = args.listen.split(',');
resolveSites(addresses.at(-1));
const provider = new Provider(args.issuer, configuration(shape, mount));
for (const event of ['authorization.error', 'grant.error', 'server_error', 'registration_create.error', 'end_session.error', 'backchannel.error']) {
  provider.on(event, (ctx, error) => console.log(event, error?.message, error?.error_description ?? ''));
}
const handle = handler(provider, shape, mount);
for (const address of addresses) {
  createServer({ cert: readFileSync(args.cert), key: readFileSync(args.key) }, handle).listen(issuer.port, address);
}
