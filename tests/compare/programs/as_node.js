// Node's own http2, called as the Python programs are: node as_node.js QUESTION JSON.
"use strict";
const http = require("node:http");
const http2 = require("node:http2");
const { Duplex } = require("node:stream");
const tls = require("node:tls");

const [question, json] = process.argv.slice(2);
const at = JSON.parse(json);
const ca = require("node:fs").readFileSync(at.cafile);

// A request on a session: what came of it.
function ask(session, headers, body) {
  return new Promise((resolve, reject) => {
    const stream = session.request(headers);
    const found = { text: "", early: [], trailers: {} };
    stream.on("headers", (early) => found.early.push(early[":status"]));
    stream.on("trailers", (trailers) => Object.assign(found.trailers, trailers));
    stream.on("response", (answer) => (found.status = answer[":status"]));
    stream.on("data", (data) => (found.text += data));
    stream.on("end", () => resolve(found));
    stream.on("error", (error) => reject(Object.assign(error, { rstCode: stream.rstCode })));
    stream.end(body);
  });
}

async function using(url, act) {
  const session = http2.connect(url, { ca });
  try {
    return await act(session);
  } finally {
    session.destroy();
  }
}

// Two ends of a connection in memory.
function pair() {
  const ends = [0, 1].map(
    (own) =>
      new Duplex({
        read() {},
        write(data, encoding, done) {
          ends[1 - own].push(data);
          done();
        },
        final(done) {
          ends[1 - own].push(null);
          done();
        },
      }),
  );
  return ends;
}

const questions = {
  http1: () =>
    new Promise((resolve) =>
      http.get(`${at.plain}/version`, async (answer) => resolve((await answer.toArray()).join(""))),
    ),
  http2: () => using(at.url, async (session) => (await ask(session, { ":path": "/version" })).text),
  h2c: () => using(at.plain, async (session) => (await ask(session, { ":path": "/version" })).text),
  http3: () => {
    try {
      require("node:quic");
      return "there";
    } catch (error) {
      return error.code;
    }
  },
  together: () =>
    using(at.url, async (session) => {
      const answers = await Promise.all([1, 2, 3].map(() => ask(session, { ":path": "/together" })));
      return [answers[0].text.split(" ")[0], new Set(answers.map((answer) => answer.text)).size];
    }),
  push: () =>
    using(at.url, async (session) => {
      const pushed = new Promise((resolve) =>
        session.on("stream", (stream) => stream.on("data", (data) => resolve([data.toString()]))),
      );
      await ask(session, { ":path": "/push" });
      return pushed;
    }),
  trailers: () => using(at.url, async (session) => (await ask(session, { ":path": "/trailers" })).trailers),
  hints: () =>
    using(at.url, async (session) => {
      const { status, early } = await ask(session, { ":path": "/hints" });
      return [status, early];
    }),
  websockets: () =>
    using(at.url, (session) =>
      new Promise((resolve) => {
        const stream = session.request({ ":method": "CONNECT", ":protocol": "websocket", ":path": "/chat" });
        // A text of five octets, masked with zeros.
        stream.write(Buffer.concat([Buffer.from([0x81, 0x85, 0, 0, 0, 0]), Buffer.from("hello")]));
        stream.on("data", (data) => resolve([data.subarray(2).toString()]));
      }),
    ),
  repeated: () =>
    using(at.url, async (session) => {
      try {
        return (await ask(session, { ":path": "/refused", ":method": "POST" }, "x")).text;
      } catch {
        return null;
      }
    }),
  told_apart: () =>
    using(at.url, async (session) => {
      try {
        await ask(session, { ":path": "/unprocessed", ":method": "POST" }, "x");
      } catch (error) {
        return error.rstCode === http2.constants.NGHTTP2_REFUSED_STREAM ? "rstCode" : null;
      }
    }),
  both_ways: () =>
    using(at.url, (session) =>
      new Promise((resolve) => {
        const stream = session.request({ ":path": "/echo", ":method": "POST" });
        stream.write("one");
        stream.on("data", () => resolve(!stream.writableEnded));
      }),
    ),
  in_process: () =>
    new Promise((resolve) => {
      const [here, there] = pair();
      const server = http2.createServer((request, response) => response.end(`called ${request.url}`));
      server.emit("connection", there);
      const session = http2.connect("http://shop.example", { createConnection: () => here });
      ask(session, { ":path": "/apples" }).then((found) => resolve(found.text));
    }),
  proxy: () =>
    new Promise((resolve) => {
      const target = new URL(at.url);
      const { hostname, port } = new URL(at.proxy);
      http
        .request({ method: "CONNECT", hostname, port, path: target.host })
        .on("connect", (answer, socket) => {
          const secured = tls.connect({ socket, ca, servername: target.hostname, ALPNProtocols: ["h2"] });
          const session = http2.connect(at.url, { createConnection: () => secured });
          ask(session, { ":path": "/version" }).then((found) => resolve(found.status));
        })
        .end();
    }),
  ping: () =>
    using(at.url, (session) =>
      new Promise((resolve) => {
        session.on("remoteSettings", (settings) =>
          session.ping((error, duration) => resolve(duration > 0 && settings.enableConnectProtocol)),
        );
      }),
    ),
};

Promise.resolve(questions[question]()).then((found) => {
  console.log(JSON.stringify(found));
  process.exit(0);
});
