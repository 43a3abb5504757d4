'use strict';
// A client of HTTP/1.1 with one connection that it keeps. Run with a JSON object: `origin`, `cafile`, and how many
// `requests` of /echo to make one after the other; then one each of /trailers, /informational, and /reset/8, which is
// cut. Prints the `bodies`, how many `connections` it took before the cut, the `trailers`, the `hints` and what was said of
// the `cut`.

const fs = require('node:fs');
const job = JSON.parse(process.argv[2]);
const secure = job.origin.startsWith('https:');
const http = require(secure ? 'node:https' : 'node:http');
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
const sockets = new Set();
const hints = [];

function ask(path, method, body) {
  return new Promise((resolve, reject) => {
    const options = { method, agent, ca: secure ? fs.readFileSync(job.cafile) : undefined };
    const request = http.request(job.origin + path, options, (response) => {
      sockets.add(response.socket.localPort);
      response.setEncoding('utf8');
      let text = '';
      response.on('data', (chunk) => { text += chunk; });
      response.on('end', () => resolve({ text, trailers: response.trailers }));
      response.on('error', reject);
    });
    request.on('error', reject);
    request.on('information', (information) => hints.push(information.headers.link));
    request.end(body);
  });
}

async function main() {
  const bodies = [];
  for (let number = 0; number < job.requests; number++) {
    bodies.push((await ask('/echo', 'POST', `body ${number}`)).text);
  }
  const { trailers } = await ask('/trailers', 'GET');
  await ask('/informational', 'GET');
  const connections = sockets.size;
  const cut = await ask('/reset/8', 'GET').then(() => 'none', (error) => error.code);
  agent.destroy();
  console.log(JSON.stringify({ bodies, connections, trailers, hints, cut }));
}

main();
