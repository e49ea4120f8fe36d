// The provider's login and consent: two forms, nothing from outside, the same for a browser and for curl.

export function page(title, body) {
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>${title}</title></head>`
    + `<body><h1>${title}</h1>${body}</body></html>`;
}

const LOGIN = page('Sign in', `<form method="post" autocomplete="off">
  <label>Login <input name="login" required autofocus></label>
  <label>Password <input name="password" type="password" required></label>
  <button type="submit">Sign in</button></form>`);

const CONSENT = page('Consent', `<form method="post">
  <button type="submit" name="consent" value="yes" autofocus>Continue</button>
  <button type="submit" name="consent" value="no">Cancel</button></form>`);

async function formOf(req) {
  let body = '';
  for await (const chunk of req) body += chunk;
  return new URLSearchParams(body);
}

export class Interactions {
  /** `subjectOf(login)` is the `sub` of a known login; any password will do. */
  constructor(provider, subjectOf) {
    this.provider = provider;
    this.subjectOf = subjectOf;
  }

  /** Answers requests for `/interaction/…`, and says whether this was one. */
  async handle(req, res) {
    if (!req.url.startsWith('/interaction/')) return false;
    try {
      const details = await this.provider.interactionDetails(req, res);
      if (req.method === 'POST') await this.submitted(req, res, details);
      else this.show(res, 200, details.prompt.name === 'login' ? LOGIN : CONSENT);
    } catch (error) {
      this.show(res, 400, page('Error', `<p>${error.name}</p>`));
    }
    return true;
  }

  show(res, status, html) {
    res.writeHead(status, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' }).end(html);
  }

  async submitted(req, res, details) {
    const form = await formOf(req);
    if (details.prompt.name === 'login') {
      const accountId = this.subjectOf(form.get('login'));
      if (!accountId) return this.show(res, 401, LOGIN);
      return this.finish(req, res, { login: { accountId } });
    }
    if (form.get('consent') === 'no') {
      return this.finish(req, res, { error: 'access_denied', error_description: 'End-User said no' });
    }
    return this.finish(req, res, { consent: { grantId: await this.grant(details) } });
  }

  finish(req, res, result) {
    return this.provider.interactionFinished(req, res, result, { mergeWithLastSubmission: true });
  }

  /** Grants all that the prompt says is missing, on top of what was granted to this client before. */
  async grant({ grantId, params, prompt, session }) {
    const grant = grantId
      ? await this.provider.Grant.find(grantId)
      : new this.provider.Grant({ accountId: session.accountId, clientId: params.client_id });
    const { missingOIDCScope, missingOIDCClaims } = prompt.details;
    if (missingOIDCScope) grant.addOIDCScope(missingOIDCScope.join(' '));
    if (missingOIDCClaims) grant.addOIDCClaims(missingOIDCClaims);
    return grant.save();
  }
}
