// Nothing leads in but `kubectl port-forward`: the page asks for a code, and shows the command that prints one.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { ask, inBrowser, listen, said, shoot, told } from './lib.mjs';

const namespaces = '/clusters/main/api/v1/namespaces';

/** What the API answers with this browser's cookies: a page of ours lets no script ask. */
async function status(page) {
  return (await page.request.get(told.site + namespaces)).status();
}

/** Types `code` into the page's form. */
async function enter(page, code) {
  await page.fill('input[name=code]', code);
  await Promise.all([page.waitForEvent('load'), page.click('button:text("Come in")')]);
}

await inBrowser(async (context) => {
  const page = await context.newPage();
  await page.goto(told.site);
  await shoot(page, 'fallback-asks');
  const command = (await page.locator('code', { hasText: 'kubectl exec' }).first().textContent()).trim();
  assert.equal(command, `kubectl exec -n ${told.namespace} deploy/lamplighter -- lamplighter fallback code`);
  assert.equal(await status(page), 401);

  await enter(page, 'AAAA-BBBB-CCCC-DDDD');
  assert.match(await page.textContent('body'), /This code is wrong/);
  assert.equal(await status(page), 401);
  await shoot(page, 'fallback-wrong-code');

  // As a person does it: what the page shows, in a terminal.
  const env = { ...process.env, KUBECONFIG: told.kubeconfig, PATH: `${told.kubectlFolder}:${process.env.PATH}` };
  const code = execFileSync('sh', ['-c', command], { encoding: 'utf8', env }).trim();
  await enter(page, code);
  assert.equal(page.url(), `${told.site}/`);
  assert.equal(await page.textContent('h1'), 'The UI');
  const banner = page.locator('[role=status]', { hasText: "lamplighter's fallback" });
  assert.ok(await banner.isVisible());
  assert.match(await banner.textContent(), /with the role viewer/);

  const list = await ask(page, 'GET', namespaces);
  assert.equal(list.status, 200);
  const names = JSON.parse(list.text).items.map((item) => item.metadata.name);
  assert.ok(names.includes(told.namespace), names);
  await said(page, `namespaces: ${names.join(' ')}`);
  assert.equal((await ask(page, 'DELETE', `${namespaces}/${told.namespace}`)).status, 403);
  const watch = await listen(page, 'watch', `${namespaces}?watch=1`);
  await watch.hears(/"type":"ADDED"/);
  await shoot(page, 'fallback-in');

  // The same code once more, in a browser of somebody else's.
  const other = await (await context.browser().newContext()).newPage();
  await other.goto(told.site);
  await enter(other, code);
  assert.match(await other.textContent('body'), /was used before/);
  await other.context().close();

  const tab = await context.newPage();
  await tab.goto(told.site);
  await Promise.all([tab.waitForEvent('load'), tab.click('[role=status] button:text("Leave")')]);
  assert.ok(await tab.locator('input[name=code]').isVisible());
  await shoot(tab, 'fallback-left');
  assert.equal(await watch.closes(), 1008);
  assert.equal((await ask(page, 'GET', namespaces)).status, 401);
  await shoot(page, 'fallback-closed');
});
