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

const kept = `tfstyle ${self.location.search}`; // which changes with any file

self.addEventListener("install", (event) => {
  (event as ExtendableEvent).waitUntil(
    fetch("files.json")
      .then((response) => response.json())
      .then((files: string[]) => caches.open(kept).then((cache) => cache.addAll(["./", ...files])))
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
  respondWith.call(
    event,
    caches
      .open(kept)
      .then((cache) => cache.match(request, { ignoreSearch: true }))
      .then((found) => found ?? fetch(request))
      .then((response) => (request.mode === "navigate" ? isolated(response) : response)),
  );
});

/** Let a page use threads. */
function isolated({ body, status, statusText, headers }: Response): Response {
  const more = new Headers(headers);
  more.set("Cross-Origin-Opener-Policy", "same-origin");
  more.set("Cross-Origin-Embedder-Policy", "require-corp");
  return new Response(body, { status, statusText, headers: more });
}
