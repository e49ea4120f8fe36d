// Something is down or not set up: the person sees a page that names it, and never nginx's own.
import assert from 'node:assert/strict';
import { inBrowser, shoot, signIn, told } from './lib.mjs';

await inBrowser(async (context) => {
  const page = await context.newPage();
  await page.goto(`${told.site}/c/main`);
  if (new URL(page.url()).hostname === 'auth.rig.test') await signIn(page, 'victor');
  assert.equal(await page.textContent('h1'), told.expected);
  assert.equal(await page.getAttribute('a.button', 'href'), `${told.site}/lamplighter/login?rd=/c/main`);
  await shoot(page, `failure-${told.name}`);
});
