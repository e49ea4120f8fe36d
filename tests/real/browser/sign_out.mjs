// Signing out in one tab ends what another one shows; nobody is signed in again unasked.
import assert from 'node:assert/strict';
import { ask, inBrowser, shoot, signIn, signOutInAnotherTab, told } from './lib.mjs';

/** The page says so, also after a reload, and its button leads back in. The provider still knows the person. */
async function isSignedOut(page, name) {
  for (const open of [() => page.goto(`${told.site}/c/main`), () => page.reload()]) {
    await open();
    assert.equal(await page.textContent('h1'), 'You are signed out');
  }
  await shoot(page, name);
  await page.click('text=Sign in again');
  await page.waitForURL(`${told.site}/c/main`);
  assert.equal(await page.textContent('#user'), 'alice');
}

await inBrowser(async (context) => {
  const page = await context.newPage();
  await page.goto(`${told.site}/c/main`);
  await signIn(page, 'alice');
  assert.equal((await ask(page, 'GET', '/config')).status, 200);

  await signOutInAnotherTab(context);

  // The first tab asks on, as Headlamp does, and is told to load itself anew.
  const { status, reload } = await ask(page, 'GET', '/clusters/main/healthz');
  assert.deepEqual({ status, reload }, { status: 401, reload: 'reload' });
  await isSignedOut(page, 'signed-out');

  // By Headlamp's own "log out".
  const left = await ask(page, 'POST', '/clusters/main/set-token', '{"token":null}');
  assert.deepEqual([left.status, left.reload], [401, 'reload']);
  await isSignedOut(page, 'signed-out-by-headlamp');
});
