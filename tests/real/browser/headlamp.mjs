// Headlamp itself, as a person sees it: nobody is ever asked for a token, and it leaves when the session does.
import assert from 'node:assert/strict';
import { ask, inBrowser, shoot, signIn, signOutInAnotherTab, told } from './lib.mjs';

const link = `${told.site}/c/main/configmaps?namespace=${told.namespace}`;

function row(page, name) {
  return page.waitForSelector(`tr a:text-is("${name}")`);
}

/** The page comes to say so by itself, keeps to it, and its button leads back to where it was. */
async function isSignedOut(page, name) {
  await page.waitForSelector('h1:text-is("You are signed out")');
  await page.reload();
  assert.equal(await page.textContent('h1'), 'You are signed out');
  await shoot(page, `${told.shape}-signed-out-${name}`);
  await page.click('text=Sign in again');
  await row(page, 'precious');
  assert.equal(page.url(), link);
}

await inBrowser(async (context) => {
  const page = await context.newPage();
  const prompts = [];
  page.on('framenavigated', (frame) => {
    if (/^\/c\/main\/(token|login)/.test(new URL(frame.url()).pathname)) prompts.push(frame.url());
  });

  // A token that was pasted into Headlamp once would win over the one that we bring.
  const host = new URL(told.site).hostname;
  await context.addCookies([{ name: 'headlamp-auth-main.0', value: 'stale', domain: host, path: '/clusters/main' }]);

  // A link from elsewhere, before anybody signed in.
  await page.goto(link);
  const watch = page.waitForEvent('websocket', (socket) => socket.url().includes('/configmaps?'));
  await signIn(page, 'alice');
  await row(page, 'precious');
  assert.equal(page.url(), link);

  // What is made elsewhere appears.
  const news = (await watch).waitForEvent('framereceived');
  const fresh = JSON.stringify({ metadata: { name: 'fresh' } });
  assert.equal((await ask(page, 'POST', `/clusters/main/api/v1/namespaces/${told.namespace}/configmaps`, fresh)).status, 201);
  await row(page, 'fresh');
  assert.equal(JSON.parse((await news).payload).type, 'ADDED');
  await shoot(page, `${told.shape}-link`);

  await page.goto(told.site);
  await page.waitForSelector('h2:text-is("Overview")');
  await page.click('[aria-label="Account of current user"]');
  await page.hover('text=Log out: alice');
  await shoot(page, `${told.shape}-overview`);

  // The session ends, the provider's does not: signed in anew without a word.
  await page.goto(link);
  await row(page, 'precious');
  const provider = page.waitForRequest((request) => request.isNavigationRequest() && request.url().includes('auth.rig.test'));
  await context.clearCookies({ name: '__Host-lamplighter' });
  await provider;
  await row(page, 'precious');
  assert.equal(page.url(), link);

  // Where Headlamp would ask for a token, with a session and without: its running page may end there.
  for (const isSignedIn of [true, false]) {
    // A page that still runs would load itself anew, in place of what is opened here.
    await page.goto('about:blank');
    if (!isSignedIn) await context.clearCookies({ name: '__Host-lamplighter' });
    await page.goto(`${told.site}/c/main/token`);
    await page.waitForSelector('h2:text-is("Overview")');
  }

  await page.goto(link);
  await row(page, 'precious');
  await signOutInAnotherTab(context);
  await isSignedOut(page, 'elsewhere');

  await page.click('[aria-label="Account of current user"]');
  await page.click('text=Log out: alice');
  await isSignedOut(page, 'by-itself');

  assert.deepEqual(prompts, []);
});
