/** Keeps the page's files, so that it opens offline; lets the worker use threads on plain hosts. */

export {};

declare const self: WorkerOfService;

interface WorkerOfService extends EventTarget {
  location: Location;
  skipWaiting: () => Promise<void>;
  clients: { claim: () => Promise<void> };
}

interface ExtendableEvent extends Event {
  waitUntil: (promise: Promise<unknown>) => void;
}

interface FetchEvent extends Event {
  request: Request;
  respondWith: (response: Promise<Response>) => void;
}

const version = self.location.search; // which changes with any file
const kept = `tfstyle ${version}`;

self.addEventListener("install", (event) => {
  (event as ExtendableEvent).waitUntil(
    fetch(`files.json${version}`)
      .then((response) => response.json())
      .then((files: string[]) => ["./", ...files.map((file) => file + version)])
      .then((files) => caches.open(kept).then((cache) => cache.addAll(files)))
      .then(() => self.skipWaiting()),
  );
});

self.addEventListener("activate", (event) => {
  const old = (keys: string[]) => keys.filter((key) => key.startsWith("tfstyle ") && key !== kept);
  (event as ExtendableEvent).waitUntil(
    caches
      .keys()
      .then((keys) => Promise.all(old(keys).map((key) => caches.delete(key))))
      .then(() => self.clients.claim()),
  );
});

self.addEventListener("fetch", (event) => {
  const { request, respondWith } = event as FetchEvent;
  if (request.method !== "GET") return;
  respondWith.call(event, request.mode === "navigate" ? page(request) : file(request));
});

/** The page as it is on its host now; as it was, where there is no connection. */
async function page(request: Request): Promise<Response> {
  const cache = await caches.open(kept);
  const found = await fetch(request).catch(() => cache.match("./"));
  return found ? isolated(found) : Response.error();
}

/** A file of this version is never another; those of others are not kept. */
async function file(request: Request): Promise<Response> {
  const cache = await caches.open(kept);
  return (await cache.match(request)) ?? fetch(request);
}

/** Let a page use threads. */
function isolated({ body, status, statusText, headers }: Response): Response {
  const more = new Headers(headers);
  more.set("Cross-Origin-Opener-Policy", "same-origin");
  more.set("Cross-Origin-Embedder-Policy", "require-corp");
  return new Response(body, { status, statusText, headers: more });
}
