// Who is in no group is told so, and can come back as somebody else.
import assert from 'node:assert/strict';
import { inBrowser, shoot, signIn, told } from './lib.mjs';

await inBrowser(async (context) => {
  const page = await context.newPage();
  await page.goto(`${told.site}/c/main`);
  await signIn(page, 'nora');
  assert.equal(await page.textContent('h1'), 'You have no role here');
  await shoot(page, 'denied');
  assert.deepEqual((await context.cookies()).filter((cookie) => cookie.name === '__Host-lamplighter'), []);

  await page.click('text=Sign in as someone else');
  await page.waitForURL((url) => url.hostname === 'auth.rig.test');
  await signIn(page, 'alice');
  assert.equal(page.url(), `${told.site}/c/main`);
  assert.equal(await page.textContent('#user'), 'alice');
});
