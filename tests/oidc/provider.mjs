// A provider on loopback for tests: oidc-provider, with accounts that exist because somebody says their name. It prints its issuer and lives
// until its input ends. What a person shows at it is said by the test: POST /interaction/UID with login=NAME&amr=METHOD.
import { createServer } from 'node:http';
import { once } from 'node:events';
import { Provider } from 'oidc-provider';

const [station, secret] = process.argv.slice(2);
const server = createServer();
server.listen(0, '127.0.0.1');
await once(server, 'listening');
const issuer = `http://127.0.0.1:${server.address().port}`;

const provider = new Provider(issuer, {
  clients: [{
    client_id: 'beatbook',
    client_secret: secret,
    redirect_uris: [`${station}/api/v1/sign-in/provider/callback`],
    post_logout_redirect_uris: [`${station}/`],
  }],
  claims: { openid: ['sub', 'staff_number', 'amr', 'acr'] },
  conformIdTokenClaims: false,
  cookies: { keys: ['only for tests'] },
  features: { devInteractions: { enabled: false } },
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, staff_number: id.replace('at-provider-', '') }) }),
});

async function form(request) {
  let text = '';
  for await (const piece of request) text += piece;
  return new URLSearchParams(text);
}

async function interaction(request, response) {
  const { prompt, params, session, grantId } = await provider.interactionDetails(request, response);
  const said = await form(request);
  if (said.get('refuse')) {
    return provider.interactionFinished(request, response, { error: 'access_denied' });
  }
  if (prompt.name === 'login') {
    const login = { accountId: said.get('login'), amr: said.getAll('amr') };
    return provider.interactionFinished(request, response, { login });
  }
  const grant = grantId
    ? await provider.Grant.find(grantId)
    : new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  grant.addOIDCScope(params.scope);
  grant.addOIDCClaims(prompt.details.missingOIDCClaims ?? []);
  const consent = { grantId: await grant.save() };
  return provider.interactionFinished(request, response, { consent }, { mergeWithLastSubmission: true });
}

const callback = provider.callback();
server.on('request', (request, response) => {
  if (request.method === 'POST' && request.url.startsWith('/interaction/')) {
    interaction(request, response).catch((fault) => {
      response.statusCode = 500;
      response.end(String(fault));
    });
  } else {
    callback(request, response);
  }
});

console.log(issuer);
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
