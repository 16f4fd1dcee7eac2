/** What the page and its worker say to each other. */

/** A network as a `.tflite` file, and what there is to know of it. */
export interface ModelInfo {
  file: string;
  /** The file that reads paintings, of a network of any style. */
  encoder: string | null;
  /** The input beside the photograph, and how many numbers it takes. */
  takes: "style_weights" | "code" | null;
  points: number;
  multiple: number;
  reach: number;
  moments: number;
}

/** A style: a point of a network. */
export interface Point {
  model: string;
  point: number[];
}

export interface Settings {
  /** From 0, the photograph, to 1, the painting. */
  strength: number;
  strokeSize: number;
  keepColors: boolean;
}

export interface PaintJob {
  photo: string;
  height: number;
  width: number;
  style: Point;
  settings: Settings;
}

export interface Pixels {
  data: Uint8ClampedArray<ArrayBuffer>;
  height: number;
  width: number;
  /** How long it took; null where it was in the worker's memory. */
  took_ms: number | null;
}

/** What the worker can be asked; each answer bears the number of its question. */
export interface Questions {
  start: { ask: { wasm: ArrayBuffer; glue: ArrayBuffer; threads: number }; answer: null };
  model: { ask: { info: ModelInfo; bytes: ArrayBuffer; encoder?: ArrayBuffer }; answer: null };
  open: {
    ask: { photo: string; source: Blob | ImageBitmap };
    answer: { height: number; width: number };
  };
  /** As `open`, but it is read when it is painted first. */
  keep: { ask: { photo: string; source: Blob }; answer: null };
  close: { ask: { photo: string }; answer: null };
  encode: { ask: { photo: string; model: string }; answer: number[] };
  paint: { ask: PaintJob; answer: Pixels };
}

export type Kind = keyof Questions;

export type ToWorker = { [K in Kind]: { id: number; kind: K; ask: Questions[K]["ask"] } }[Kind];

export type FromWorker =
  | { id: number; answer: Questions[Kind]["answer"] }
  | { id: number; error: string }
  | { id: number; progress: number };
