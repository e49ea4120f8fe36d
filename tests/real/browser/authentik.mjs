// authentik itself, as a person sees it: signs in once, is let in again without a word, is asked once more after
// signing out there, and comes back as another.
import assert from 'node:assert/strict';
import { inBrowser, shoot, signOutInAnotherTab, told } from './lib.mjs';

/** Fills in authentik's two forms, which live in shadow roots. The first has a field for a password, too, which nobody sees. */
async function signIn(page, login, name) {
  for (const [stage, field, value] of [['identification', 'uidField', login], ['password', 'password', told.password]]) {
    const form = `ak-stage-${stage}`;
    await page.fill(`${form} input[name=${field}]`, value);
    if (name) await shoot(page, `${name}-${stage}`);
    await page.click(`${form} button[type=submit]`);
  }
  await page.waitForURL((url) => url.hostname !== 'auth.rig.test');
}

await inBrowser(async (context) => {
  const page = await context.newPage();
  await page.goto(`${told.site}/c/main`);
  const { origin } = new URL(page.url());
  await signIn(page, 'victor', 'authentik');
  assert.equal(page.url(), `${told.site}/c/main`);
  assert.equal(await page.textContent('#user'), 'victor');
  await shoot(page, 'authentik-landed');

  // Signed out here, and not there.
  await signOutInAnotherTab(context);
  await page.goto(`${told.site}/c/main`);
  assert.equal(await page.textContent('h1'), 'You are signed out');
  await shoot(page, 'authentik-signed-out');
  await page.click('text=Sign in again');
  await page.waitForURL(`${told.site}/c/main`);

  // Signed out in both places: asked again, as somebody else may be.
  await signOutInAnotherTab(context);
  await page.goto(`${origin}/flows/-/default/invalidation/`);
  await page.waitForSelector('input[name=uidField]');
  await page.goto(`${told.site}/c/main`);
  await page.click('text=Sign in again');
  await signIn(page, 'nora');
  assert.equal(await page.textContent('h1'), 'You have no role here');
  await shoot(page, 'authentik-denied');

  // authentik asks anew, though it knows who this is.
  await page.click('text=Sign in as someone else');
  await signIn(page, 'alice');
  assert.equal(page.url(), `${told.site}/c/main`);
  assert.equal(await page.textContent('#user'), 'alice');
});
