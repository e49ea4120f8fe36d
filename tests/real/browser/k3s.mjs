// The end of the k3s page: a person opens the site, signs in, and the UI shows the cluster.
import assert from 'node:assert/strict';
import { ask, inBrowser, shoot, signIn, told } from './lib.mjs';

await inBrowser(async (context) => {
  const page = await context.newPage();
  await page.goto(`${told.site}/`);
  await signIn(page, 'alice');
  assert.equal(page.url(), `${told.site}/`);
  const namespaces = await ask(page, 'GET', '/clusters/main/api/v1/namespaces');
  assert.equal(namespaces.status, 200);
  const names = JSON.parse(namespaces.text).items.map((item) => item.metadata.name);
  assert.ok(names.includes(told.namespace), names.join());
  // A stand-in shows nothing by itself.
  await page.evaluate((names) => { document.querySelector('#seen').textContent = names.join('\n'); }, names);
  await shoot(page, 'k3s-landed');
  await page.goto(`${told.site}/lamplighter/whoami`);
  await shoot(page, 'k3s-whoami');
});
