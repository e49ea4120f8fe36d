// lamplighter in front of the UI, without an ingress that asks: a page's own script lists, watches and runs a command; what it
// opened closes when the person signs out in another tab.
import assert from 'node:assert/strict';
import { ask, inBrowser, listen, said, shoot, signIn, signOutInAnotherTab, told } from './lib.mjs';

const api = '/clusters/main/api/v1';
const own = `${api}/namespaces/${told.namespace}`;
const command = ['/bin/busybox', 'sh', '-c', 'while read name; do echo "hello $name"; done'];
const exec = new URLSearchParams([...command.map((word) => ['command', word]), ['stdin', true], ['stdout', true]]);

await inBrowser(async (context) => {
  const page = await context.newPage();
  await page.goto(told.site);
  assert.equal(new URL(page.url()).hostname, 'auth.rig.test');
  await signIn(page, 'alice');
  assert.equal(await page.textContent('h1'), 'The UI');

  const namespaces = JSON.parse((await ask(page, 'GET', `${api}/namespaces`)).text).items.map((item) => item.metadata.name);
  assert.ok(namespaces.includes(told.namespace), namespaces);
  await said(page, `namespaces: ${namespaces.join(' ')}`);

  const watch = await listen(page, 'watch', `${own}/configmaps?watch=1&fieldSelector=metadata.name%3Dnews`);
  const news = JSON.stringify({ metadata: { name: 'news' } });
  assert.equal((await ask(page, 'POST', `${own}/configmaps`, news)).status, 201);
  await watch.hears(/"type":"ADDED".*"name":"news"/);

  const shell = await listen(page, 'exec', `${own}/pods/talker/exec?${exec}`, 'v5.channel.k8s.io');
  await shell.says('\0ada\n');
  await shell.hears(/\x01hello ada\n/);
  await shoot(page, 'sidecar-open');

  await signOutInAnotherTab(context);
  for (const socket of [watch, shell]) assert.equal(await socket.closes(), 1008);
  assert.equal((await ask(page, 'GET', `${api}/namespaces`)).status, 401);
  await shoot(page, 'sidecar-closed');
  await page.reload();
  assert.equal(await page.textContent('h1'), 'You are signed out');
  await shoot(page, 'sidecar-signed-out');
});
