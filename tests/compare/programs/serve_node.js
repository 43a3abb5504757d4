// Node's own http2 as a server, with the paths that the other servers have: node serve_node.js JSON
"use strict";
const cluster = require("node:cluster");
const http2 = require("node:http2");
const fs = require("node:fs");

const at = JSON.parse(process.argv[2]);
const waiting = [];

const paths = {
  "/version": (stream) => stream.end("2"),
  "/process": (stream) => stream.end(String(process.pid)),
  "/slow": (stream) => setTimeout(() => stream.end("finished"), 1500),
  "/come_together": (stream) => {
    waiting.push(stream);
    if (waiting.length === 3) for (const one of waiting) one.end("together");
  },
  "/hints": (stream) => {
    stream.additionalHeaders({ ":status": 103, link: "</style.css>; rel=preload" });
    stream.end("body");
  },
  "/push": (stream) =>
    stream.pushStream({ ":path": "/style.css" }, (error, pushed) => {
      pushed.respond();
      pushed.end("style");
      stream.end("body");
    }),
  "/trailers": (stream) => {
    stream.respond({}, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "x-end": "here" }));
    stream.end("body");
  },
  "/echo": (stream) => {
    stream.respond();
    stream.pipe(stream);
  },
  "/chat": (stream) => {
    stream.respond();
    // Short texts only, with a mask: what is sent back has none.
    stream.on("data", (frame) => {
      const length = frame[1] & 0x7f;
      const text = Buffer.from(frame.subarray(6, 6 + length).map((octet, place) => octet ^ frame[2 + (place % 4)]));
      const upper = Buffer.from(text.toString().toUpperCase());
      stream.write(Buffer.concat([Buffer.from([0x81, upper.length]), upper]));
    });
  },
};

const settings = { enableConnectProtocol: true };
const server = at.tls
  ? http2.createSecureServer({
      cert: fs.readFileSync(at.certfile),
      key: fs.readFileSync(at.keyfile),
      allowHTTP1: true,
      settings,
    })
  : http2.createServer({ settings });
if (at.application === "compat") {
  server.on("request", (request, response) => response.end(request.httpVersion));
} else {
  server.on("stream", (stream, headers) => {
    stream.on("error", () => {});
    paths[headers[":path"]](stream);
  });
}
if (at.application === "cluster" && cluster.isPrimary) {
  for (let count = 0; count < 2; count++) cluster.fork();
} else {
  server.listen(at.port, "localhost");
}
