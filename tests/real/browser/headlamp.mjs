// Headlamp itself: nobody is asked for a token, and the cluster's overview shows.
import assert from 'node:assert/strict';
import { inBrowser, shoot, signIn, told } from './lib.mjs';

await inBrowser(async (context) => {
  const page = await context.newPage();
  await page.goto(told.site);
  await signIn(page, 'alice');
  await page.waitForSelector('text=Overview');
  await shoot(page, 'headlamp');
  assert.doesNotMatch(page.url(), /\/(token|login)$/);
});
