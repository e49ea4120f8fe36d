// What the scenarios share: Chromium as a person uses it, and the provider's two forms.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { join } from 'node:path';

/** What the test tells: where everything is, and what the site is called. */
export const told = JSON.parse(process.argv[2]);

const { chromium } = createRequire(join(told.nodeModules, 'x.js'))('playwright-core');

const FLAGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', `--ignore-certificate-errors-spki-list=${told.tlsKeyHash}`,
  `--host-resolver-rules=MAP *.rig.test ${told.address}`,
];

/** Runs `scenario` in a browser that nobody used yet, and fails when a page broke its own Content-Security-Policy. */
export async function inBrowser(scenario) {
  const browser = await chromium.launch({ executablePath: told.chromium, args: FLAGS });
  try {
    const context = await browser.newContext({ viewport: { width: 1000, height: 720 } });
    const violations = [];
    context.on('console', (message) => {
      if (/content security policy|csp/i.test(message.text())) violations.push(`${message.page()?.url()}: ${message.text()}`);
    });
    await scenario(context);
    assert.deepEqual(violations, []);
  } finally {
    await browser.close();
  }
}

export async function shoot(page, name) {
  await page.screenshot({ path: join(told.artifacts, `${name}.png`), fullPage: true });
}

/** Fills in what the provider asks, until the browser is elsewhere. */
export async function signIn(page, login) {
  await page.fill('input[name=login]', login);
  await page.fill('input[name=password]', 'any');
  await page.click('button[type=submit]');
  await page.click('button[name=consent][value=yes]');
  await page.waitForURL((url) => url.hostname !== 'auth.rig.test');
}

/** By our own form. */
export async function signOutInAnotherTab(context) {
  const other = await context.newPage();
  await other.goto(`${told.site}/lamplighter/whoami`);
  assert.equal(await other.textContent('h1'), 'You are signed in');
  await shoot(other, 'whoami');
  await other.click('button:text("Sign out")');
  await other.waitForURL(`${told.site}/lamplighter/signed-out`);
  assert.equal(await other.textContent('h1'), 'You are signed out');
  await other.close();
}

/**
 * A request of the page's own script: status, the header that Headlamp acts on, and the body. One that reads is asked again
 * where a peer had no time for it, as a UI does: on a busy machine the API server takes longer than lamplighter waits.
 */
export async function ask(page, method, path, body) {
  for (let left = 30; ; left -= 1) {
    const answer = await askOnce(page, method, path, body);
    if (method !== 'GET' || answer.status < 500 || left === 0) return answer;
    console.error(`${path}: ${answer.status}: asked again`);
    await page.waitForTimeout(1000);
  }
}

function askOnce(page, method, path, body) {
  return page.evaluate(async ([method, path, body]) => {
    const headers = body ? { 'content-type': 'application/json' } : {};
    const answer = await fetch(path, { method, headers, body });
    return { status: answer.status, reload: answer.headers.get('x-reload'), text: await answer.text() };
  }, [method, path, body]);
}

/** Writes a line where the stand-in for Headlamp shows what was seen. */
export function said(page, line) {
  return page.evaluate((line) => document.getElementById('seen').append(`${line}\n`), line);
}

/** A WebSocket that the page's own script opens. What it hears is written on the page. */
export async function listen(page, name, path, ...protocols) {
  await page.evaluate(([name, path, protocols]) => new Promise((resolve, reject) => {
    const socket = new WebSocket(path, protocols);
    const seen = (line) => document.getElementById('seen').append(`${name}: ${line}\n`);
    const heard = { text: '', code: undefined, socket };
    (window.heard ??= {})[name] = heard;
    socket.binaryType = 'arraybuffer';
    socket.onopen = resolve;
    socket.onerror = () => reject(new Error(`${name}: no WebSocket`));
    socket.onmessage = ({ data }) => {
      const text = typeof data === 'string' ? data : new TextDecoder().decode(data);
      heard.text += text;
      seen(text.trim().slice(0, 110));
    };
    socket.onclose = ({ code, reason }) => {
      heard.code = code;
      seen(`closed with ${code} ${reason}`);
    };
  }), [name, path, protocols]);
  return {
    says: (text) => page.evaluate(([name, text]) => heard[name].socket.send(new TextEncoder().encode(text)), [name, text]),
    hears: (pattern) => page.waitForFunction(([name, source]) => new RegExp(source).test(heard[name].text), [name, pattern.source]),
    closes: async () => (await page.waitForFunction((name) => heard[name].code, name)).jsonValue(),
  };
}
