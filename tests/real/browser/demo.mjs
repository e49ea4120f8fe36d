// The demo, as somebody sees it who runs it for the first time.
import assert from 'node:assert/strict';
import { inBrowser, shoot, told } from './lib.mjs';

await inBrowser(async (context) => {
  const page = await context.newPage();
  await page.goto(`${told.site}/c/main/pods`);
  await shoot(page, 'demo-provider');
  await page.click('text=ada');
  await page.waitForURL(`${told.site}/c/main/pods`);
  assert.match(await page.textContent('body'), /system:serviceaccount:headlamp:admin/);
  await shoot(page, 'demo-upstream');

  await page.goto(`${told.site}/lamplighter/logout`);
  await page.click('button:text("Sign out")');
  await page.waitForURL(`${told.site}/lamplighter/signed-out`);
  await shoot(page, 'demo-signed-out');

  await page.click('text=Sign in again');
  await page.click('text=nora');
  await page.waitForURL(/\/lamplighter\/callback/);
  assert.equal(await page.textContent('h1'), 'You have no role here');
  await shoot(page, 'demo-denied');
});
