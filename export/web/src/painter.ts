/** Networks at work: pictures of any size, whole or in pieces nobody can tell. */

import { type CompiledModel, loadAndCompile, Tensor } from "@litertjs/core";
import type { ModelInfo, Point } from "./messages";
import type { Sides } from "./resize";
import { withSize } from "./tflite";

const WHOLE_PIXELS = 4_000_000; // what is painted at once takes 0.13 kB of memory a pixel
const TILE = 768; // side of a piece, without the border that overlaps with others
const SAMPLES = 16; // number and side of the pieces that moments are taken from
const SAMPLE = 256;

interface Network {
  info: ModelInfo;
  bytes: Uint8Array;
  encoder?: Uint8Array;
}

type Given = Record<string, { data: Float32Array; shape: number[] }>;

export class Painter {
  private readonly networks = new Map<string, Network>();
  private compiled: { key: string; model: CompiledModel } | null = null;

  constructor(private readonly threads: number) {}

  add(info: ModelInfo, bytes: Uint8Array, encoder?: Uint8Array): void {
    this.networks.set(info.file, { info, bytes, encoder });
  }

  /** Read the code of a painting. */
  async encode(name: string, rgb: Float32Array, sides: Sides): Promise<number[]> {
    const { encoder } = this.network(name);
    if (!encoder) throw new Error(`${name} paints in styles of its own.`);
    const painting = { data: rgb, shape: [1, ...sides, 3] };
    const { code } = await this.run(`${name} encoder`, encoder, sides, { painting });
    return [...code];
  }

  /** Paint a picture of `3 · height · width` floats in [0, 1]. */
  async paint(
    style: Point,
    rgb: Float32Array,
    sides: Sides,
    progress: (share: number) => void,
  ): Promise<Float32Array> {
    const { info } = this.network(style.model);
    if (sides[0] * sides[1] <= WHOLE_PIXELS) {
      const whole = rounded(sides, info.multiple);
      const { stylized } = await this.look(style, cut(rgb, sides, [0, 0], whole), whole);
      return cut(stylized, whole, [0, 0], sides);
    }
    const samples = montage(rgb, sides, info.multiple);
    const { used } = await this.look(style, samples.rgb, samples.sides);
    return this.paintPieces(style, rgb, sides, used, progress);
  }

  private async paintPieces(
    style: Point,
    rgb: Float32Array,
    sides: Sides,
    moments: Float32Array,
    progress: (share: number) => void,
  ): Promise<Float32Array> {
    const { multiple, reach } = this.network(style.model).info;
    const border = Math.ceil(reach / multiple) * multiple;
    const [height, width] = rounded(sides, multiple);
    const result = new Float32Array(rgb.length);
    for (let y = 0; y < height; y += TILE) {
      for (let x = 0; x < width; x += TILE) {
        const [top, left] = [Math.max(0, y - border), Math.max(0, x - border)];
        const bottom = Math.min(height, y + TILE + border);
        const right = Math.min(width, x + TILE + border);
        const piece: Sides = [bottom - top, right - left];
        const { stylized } = await this.look(
          style,
          cut(rgb, sides, [top, left], piece),
          piece,
          moments,
        );
        const rows = Math.min(TILE, sides[0] - y);
        const columns = Math.min(TILE, sides[1] - x);
        for (let row = 0; row < rows; row++) {
          const from = 3 * ((y - top + row) * piece[1] + x - left);
          result.set(stylized.subarray(from, from + 3 * columns), 3 * ((y + row) * sides[1] + x));
        }
        progress(
          (y * width + Math.min(TILE, height - y) * Math.min(width, x + TILE)) / (height * width),
        );
      }
    }
    return result;
  }

  /** Run a network on what has sides that it takes, by the picture's own moments or by others. */
  private look(style: Point, rgb: Float32Array, sides: Sides, moments?: Float32Array) {
    const { info, bytes } = this.network(style.model);
    const given: Given = {
      image: { data: rgb, shape: [1, ...sides, 3] },
      moments: { data: moments ?? new Float32Array(info.moments), shape: [1, 1, 1, info.moments] },
      own: { data: new Float32Array([moments ? 0 : 1]), shape: [1, 1, 1, 1] },
    };
    if (info.takes) {
      const shape = info.takes === "code" ? [1, 1, 1, info.points] : [1, info.points];
      given[info.takes] = { data: new Float32Array(style.point), shape };
    }
    return this.run(info.file, bytes, sides, given);
  }

  private async run(
    name: string,
    bytes: Uint8Array,
    sides: Sides,
    given: Given,
  ): Promise<Record<string, Float32Array>> {
    const key = `${name} ${sides}`;
    if (this.compiled?.key !== key) {
      this.compiled?.model.delete();
      this.compiled = null; // should the next line fail
      const model = await loadAndCompile(withSize(bytes, ...sides), {
        accelerator: "wasm",
        cpuOptions: { numThreads: this.threads },
      });
      this.compiled = { key, model };
    }
    const tensors: Record<string, Tensor> = {};
    let outputs: Record<string, Tensor> = {};
    try {
      for (const [input, { data, shape }] of Object.entries(given)) {
        tensors[input] = new Tensor(data, shape);
      }
      outputs = await this.compiled.model.run(tensors);
      const results: Record<string, Float32Array> = {};
      for (const [output, tensor] of Object.entries(outputs)) {
        results[output] = (await tensor.data()) as Float32Array;
      }
      return results;
    } finally {
      for (const tensor of [...Object.values(tensors), ...Object.values(outputs)]) tensor.delete();
    }
  }

  private network(name: string): Network {
    const network = this.networks.get(name);
    if (!network) throw new Error(`There is no network ${name}.`);
    return network;
  }
}

function rounded([height, width]: Sides, multiple: number): Sides {
  const side = (length: number) => Math.ceil(length / multiple) * multiple;
  return [side(height), side(width)];
}

/** Cut a piece out of a picture; what lies beyond its right and lower border is mirrored. */
function cut(
  rgb: Float32Array,
  sides: Sides,
  [top, left]: Sides,
  [height, width]: Sides,
): Float32Array {
  if (top === 0 && left === 0 && height === sides[0] && width === sides[1]) return rgb;
  const piece = new Float32Array(3 * height * width);
  const mirrored = (at: number, length: number) => (at < length ? at : 2 * (length - 1) - at);
  const inside = Math.min(width, sides[1] - left);
  for (let y = 0; y < height; y++) {
    const row = mirrored(top + y, sides[0]) * sides[1];
    piece.set(rgb.subarray(3 * (row + left), 3 * (row + left + inside)), 3 * y * width);
    for (let x = inside; x < width; x++) {
      const from = 3 * (row + mirrored(left + x, sides[1]));
      piece.set(rgb.subarray(from, from + 3), 3 * (y * width + x));
    }
  }
  return piece;
}

/** Lay pieces that are spread over a picture side by side. */
function montage(rgb: Float32Array, sides: Sides, multiple: number) {
  const [height, width] = sides;
  const side = Math.min(SAMPLE, height - (height % multiple), width - (width % multiple));
  const rows = Math.max(1, Math.min(SAMPLES, Math.round(Math.sqrt((SAMPLES * height) / width))));
  const columns = Math.max(1, Math.floor(SAMPLES / rows));
  const all: Sides = [rows * side, columns * side];
  const pieces = new Float32Array(3 * all[0] * all[1]);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) {
      const top = Math.trunc(((height - side) * (i + 1)) / (rows + 1));
      const left = Math.trunc(((width - side) * (j + 1)) / (columns + 1));
      const piece = cut(rgb, sides, [top, left], [side, side]);
      for (let y = 0; y < side; y++) {
        const row = piece.subarray(3 * y * side, 3 * (y + 1) * side);
        pieces.set(row, 3 * ((i * side + y) * all[1] + j * side));
      }
    }
  }
  return { rgb: pieces, sides: all };
}
