// A viewer follows a deep link, signs in, and is there; looks at things and cannot change them.
import assert from 'node:assert/strict';
import { ask, inBrowser, shoot, signIn, told } from './lib.mjs';

const configMap = `/clusters/main/api/v1/namespaces/${told.namespace}/configmaps/precious`;

await inBrowser(async (context) => {
  const page = await context.newPage();
  await page.goto(`${told.site}/c/main/pods?namespace=a%2Fb`);
  assert.equal(new URL(page.url()).hostname, 'auth.rig.test');
  await shoot(page, 'sign-in-provider');
  await signIn(page, 'victor');
  assert.equal(page.url(), `${told.site}/c/main/pods?namespace=a%2Fb`);
  assert.equal(await page.textContent('#user'), 'victor');
  await shoot(page, 'sign-in-landed');

  const namespaces = await ask(page, 'GET', '/clusters/main/api/v1/namespaces');
  assert.equal(namespaces.status, 200);
  assert.ok(JSON.parse(namespaces.text).items.some((item) => item.metadata.name === told.namespace));
  const refusal = await ask(page, 'DELETE', configMap);
  assert.equal(refusal.status, 403);
  assert.match(JSON.parse(refusal.text).message, /^configmaps "precious" is forbidden: User "system:serviceaccount:/);

  const event = await page.evaluate((url) => new Promise((resolve, reject) => {
    const socket = new WebSocket(url);
    socket.onmessage = (message) => resolve(message.data);
    socket.onerror = () => reject(new Error('the watch broke off'));
  }), `${told.site.replace('https', 'wss')}/clusters/main/api/v1/namespaces/${told.namespace}/configmaps?watch=1`);
  assert.equal(JSON.parse(event).type, 'ADDED');

  assert.deepEqual(await page.evaluate(() => document.cookie), '');
});
