/** The worker: it computes, so that the page never waits. */

import { loadLiteRt } from "@litertjs/core";
import type { FromWorker, PaintJob, Pixels, Point, Questions, ToWorker } from "./messages";
import { Painter } from "./painter";
import { atStrokeSize, finished, type Photo, read, resized } from "./photo";
import { fitted, resize, type Sides } from "./resize";

const CODE_SIDE = 512; // long side at which a picture's code of style is read, as in training
const LEAST_CODE_SIDE = 32; // short side; the encoder reduces a picture by so much

declare const self: {
  onmessage: (event: MessageEvent<ToWorker>) => void;
  postMessage: (message: FromWorker, transfer: Transferable[]) => void;
  importScripts: (...urls: string[]) => void;
  Module?: {
    wasmBinary: ArrayBuffer;
    mainScriptUrlOrBlob: Blob;
    print: () => void;
    printErr: () => void;
  };
};

const KEPT = 1_000_000; // pixels of a photograph that stays decoded while another is painted

const files = new Map<string, Blob>();
const photos = new Map<string, Photo>();
const models = new Map<string, "style_weights" | "code" | null>();
let painter: Painter;
/** What was computed last: strength and colors then come at once. */
interface Computed {
  photo: Photo;
  size: string;
  own: Map<string, number[]>;
  look: string;
  painted: Float32Array | null;
}

/** By photograph, but of those that are shown large one alone. */
const computed = new Map<string, Computed>();
const THUMBNAILS = "face";

type Answer<K extends keyof Questions> = Promise<Questions[K]["answer"]>;
type Asked<K extends keyof Questions> = Questions[K]["ask"];

const answers: {
  [K in keyof Questions]: (ask: Asked<K>, progress: (share: number) => void) => Answer<K>;
} = {
  async start({ wasm, glue, threads }) {
    // The glue of LiteRT stands before this script, and has nothing left to fetch.
    self.importScripts = () => {};
    self.Module = {
      wasmBinary: wasm,
      mainScriptUrlOrBlob: new Blob([glue], { type: "text/javascript" }), // of its threads
      print: () => {},
      printErr: () => {},
    };
    await loadLiteRt("glue.js");
    painter = new Painter(threads);
    return null;
  },

  async model({ info, bytes, encoder }) {
    painter.add(info, new Uint8Array(bytes), encoder && new Uint8Array(encoder));
    models.set(info.file, info.takes);
    return null;
  },

  async open({ photo, source }) {
    const opened = keep(photo, await read(source));
    if (source instanceof Blob) files.set(photo, source);
    computed.delete(photo);
    const [height, width] = opened.sides;
    return { height, width };
  },

  async keep({ photo, source }) {
    files.set(photo, source);
    return null;
  },

  async close({ photo }) {
    files.delete(photo);
    photos.delete(photo);
    computed.delete(photo);
    return null;
  },

  async encode({ photo, model }) {
    return encode(await found(photo), model, CODE_SIDE);
  },

  paint,
};

async function paint(job: PaintJob, progress: (share: number) => void): Promise<Pixels> {
  const { height, width, settings } = job;
  const last = await computedLast(job);
  const { photo, own } = last;
  const { style, share } = await atStrength(job.style, photo, own, settings.strength);
  const look = JSON.stringify([style, settings.strokeSize]);
  let took_ms: number | null = null;
  if (last.look !== look || !last.painted) {
    last.painted = null;
    const begun = performance.now();
    const sides = atStrokeSize(photo.sides, settings.strokeSize);
    const small = resize(photo.rgb, photo.sides, sides);
    const painted = await painter.paint(style, small, sides, progress);
    Object.assign(last, { look, painted: resize(painted, sides, photo.sides) });
    took_ms = performance.now() - begun;
  }
  const data = finished(last.painted as Float32Array, photo, share, settings.keepColors);
  return { data, height, width, took_ms };
}

/** Return what was computed of a photograph at a size, or the place for it. */
async function computedLast({ photo: name, height, width }: PaintJob): Promise<Computed> {
  const size = [height, width].join();
  let last = computed.get(name);
  if (last?.size !== size) {
    for (const other of computed.keys()) {
      if ((other === THUMBNAILS) === (name === THUMBNAILS)) computed.delete(other);
    }
    const photo = resized(await found(name), [height, width]);
    last = { photo, size, own: new Map(), look: "", painted: null };
    computed.set(name, last);
  }
  return last;
}

/** Return the point to paint at, and how much of what it paints is laid over the photograph. */
async function atStrength(
  style: Point,
  photo: Photo,
  own: Map<string, number[]>,
  strength: number,
): Promise<{ style: Point; share: number }> {
  const { model } = style;
  if (strength === 1 || models.get(model) !== "code") return { style, share: strength };
  const size = Math.min(CODE_SIDE, Math.max(...photo.sides));
  const from = own.get(model) ?? (await encode(photo, model, size));
  own.set(model, from);
  const point = style.point.map((x, i) => from[i] + strength * (x - from[i]));
  return { style: { model, point }, share: Math.min(1, 4 * strength) };
}

function encode(photo: Photo, model: string, size: number): Promise<number[]> {
  const sides = fitted(photo.sides, size).map((side) => Math.max(LEAST_CODE_SIDE, side)) as Sides;
  return painter.encode(model, resize(photo.rgb, photo.sides, sides), sides);
}

/** Return a photograph, decoded again where another one took its place. */
async function found(name: string): Promise<Photo> {
  const photo = photos.get(name);
  if (photo) return photo;
  const file = files.get(name);
  if (!file) throw new Error(`There is no photograph ${name}.`);
  return keep(name, await read(file));
}

/** Keep a photograph decoded, and of the others the small ones. */
function keep(name: string, photo: Photo): Photo {
  for (const [other, { sides }] of photos) {
    if (sides[0] * sides[1] > KEPT) photos.delete(other);
  }
  photos.set(name, photo);
  return photo;
}

function told(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return /memory|allocat|out of bounds/i.test(text)
    ? "There is not enough memory for a picture of this size: choose a smaller one."
    : text;
}

function say(message: FromWorker, transfer: Transferable[] = []) {
  self.postMessage(message, transfer);
}

let queue = Promise.resolve();
self.onmessage = ({ data }: MessageEvent<ToWorker>) => {
  const { id, kind, ask } = data;
  const answer = answers[kind] as (
    ask: unknown,
    progress: (share: number) => void,
  ) => Promise<Questions[keyof Questions]["answer"]>;
  // One after the other: the questions share the compiled network.
  queue = queue.then(async () => {
    try {
      const given = await answer(ask, (progress) => say({ id, progress }));
      say({ id, answer: given }, given && "data" in given ? [given.data.buffer] : []);
    } catch (error) {
      say({ id, error: told(error) });
    }
  });
};
