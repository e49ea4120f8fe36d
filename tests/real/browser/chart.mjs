// The chart in mode gateway, behind the ingress that asks: a viewer follows a deep link, signs in, is there, sees the cluster's
// namespaces and deletes nothing.
import assert from 'node:assert/strict';
import { ask, inBrowser, said, shoot, signIn, told } from './lib.mjs';

const link = `${told.site}/?view=pods&namespace=a%2Fb`;

await inBrowser(async (context) => {
  const page = await context.newPage();
  await page.goto(link);
  assert.equal(new URL(page.url()).hostname, 'auth.rig.test');
  await signIn(page, 'victor');
  assert.equal(page.url(), link);
  assert.equal(await page.textContent('h1'), 'The UI');

  const namespaces = await ask(page, 'GET', '/clusters/main/api/v1/namespaces');
  assert.equal(namespaces.status, 200);
  const names = JSON.parse(namespaces.text).items.map((item) => item.metadata.name);
  for (const name of ['kube-system', told.namespace]) assert.ok(names.includes(name), names.join());
  await said(page, `namespaces: ${names.join(' ')}`);

  const refusal = await ask(page, 'DELETE', `/clusters/main/api/v1/namespaces/${told.namespace}/configmaps/precious`);
  assert.equal(refusal.status, 403);
  const { message } = JSON.parse(refusal.text);
  assert.ok(message.includes(`system:serviceaccount:${told.namespace}:looker`), message);
  await said(page, message);
  await shoot(page, 'chart-gateway-landed');

  await page.goto(`${told.site}/lamplighter/whoami`);
  assert.equal(await page.textContent('h1'), 'You are signed in');
  await shoot(page, 'chart-gateway-whoami');
});
