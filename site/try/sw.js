// Without a network, the page comes from what the last visit kept. With one, it is always the new
// page; the large files, whose names change with their content, are kept by files.js.

const CACHE = "colour-your-photograph";
const PAGE = [
  ..."./ style.css page.js worker.js color.js networks.js files.js hints.js ort.wasm.bundle.min.mjs".split(" "),
  ..."files.json networks.json samples.json CREDITS.csv".split(" "),
];

async function keep() {
  const cache = await caches.open(CACHE);
  await cache.addAll(PAGE);
  const samples = await (await cache.match("samples.json")).json();
  await cache.addAll(samples.map(({ file }) => file));
}

async function answer(request) {
  const cache = await caches.open(CACHE);
  const fresh = await fetch(request).catch(() => null);
  if (fresh?.ok) {
    if (!request.url.endsWith(".gz")) cache.put(request, fresh.clone());
    return fresh;
  }
  const name = request.mode === "navigate" ? "./" : request; // "./" and "index.html" are one page
  return (await cache.match(name, { ignoreSearch: true })) ?? fresh ?? Response.error();
}

addEventListener("install", (event) => event.waitUntil(keep().then(() => skipWaiting())));
addEventListener("activate", (event) => event.waitUntil(clients.claim()));
addEventListener("fetch", (event) => {
  const { method, url } = event.request;
  if (method === "GET" && url.startsWith(registration.scope)) event.respondWith(answer(event.request));
});
