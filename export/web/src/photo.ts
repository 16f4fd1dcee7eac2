/** Pictures as the networks see them, and back. */

import { resize, roundHalfEven, type Sides } from "./resize";

export const MIN_SIDE = 16;

const LUMA = [0.299, 0.587, 0.114]; // of BT.601, as JPEG has it

/** A photograph: RGB floats on white, and its alpha where it is transparent somewhere. */
export interface Photo {
  rgb: Float32Array;
  alpha: Float32Array | null;
  sides: Sides;
}

/** Decode a file, upright and in sRGB. */
export async function read(source: Blob | ImageBitmap): Promise<Photo> {
  let bitmap: ImageBitmap;
  try {
    bitmap =
      source instanceof Blob
        ? await createImageBitmap(source, { premultiplyAlpha: "none" })
        : source;
  } catch {
    throw new Error(
      "This browser cannot read that file as a picture. Save it as JPEG or PNG and try again.",
    );
  }
  const { height, width } = bitmap;
  try {
    if (Math.min(height, width) < MIN_SIDE) {
      throw new Error(`A picture must have at least ${MIN_SIDE} pixels on each side.`);
    }
    const canvas = new OffscreenCanvas(width, height);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    if (!context) throw new Error("The picture is too large for this browser.");
    const levels = () => {
      context.drawImage(bitmap, 0, 0);
      return context.getImageData(0, 0, width, height).data;
    };
    const alpha = alphaOf(levels());
    context.fillStyle = "#fff"; // canvases round the colors of what is transparent
    context.fillRect(0, 0, width, height);
    return { rgb: fromLevels(levels()), alpha, sides: [height, width] };
  } finally {
    bitmap.close();
  }
}

function alphaOf(levels: Uint8ClampedArray): Float32Array | null {
  let alpha: Float32Array | null = null;
  for (let i = 0; i < levels.length / 4; i++) {
    const level = levels[4 * i + 3];
    if (level === 255) continue;
    alpha ??= new Float32Array(levels.length / 4).fill(1);
    alpha[i] = level / 255;
  }
  return alpha;
}

function fromLevels(levels: Uint8ClampedArray): Float32Array {
  const count = levels.length / 4;
  const rgb = new Float32Array(3 * count);
  for (let i = 0; i < count; i++) {
    for (let c = 0; c < 3; c++) rgb[3 * i + c] = levels[4 * i + c] / 255;
  }
  return rgb;
}

/** Return a photograph at another size. */
export function resized(photo: Photo, sides: Sides): Photo {
  return {
    rgb: resize(photo.rgb, photo.sides, sides),
    alpha: photo.alpha && resize(photo.alpha, photo.sides, sides, 1),
    sides,
  };
}

/** Return the sides at which a photograph is painted so that strokes come out this large. */
export function atStrokeSize([height, width]: Sides, strokeSize: number): Sides {
  const side = (length: number) => Math.max(MIN_SIDE, roundHalfEven(length / strokeSize));
  return [side(height), side(width)];
}

/** Lay a share of a painted picture over the photograph, with the colors that are wanted. */
export function finished(
  painted: Float32Array,
  photo: Photo,
  share: number,
  keepColors: boolean,
): Uint8ClampedArray<ArrayBuffer> {
  const { rgb, alpha } = photo;
  const count = rgb.length / 3;
  const levels = new Uint8ClampedArray(4 * count); // which rounds as Python does
  for (let i = 0; i < count; i++) {
    let shift = 0;
    for (let c = 0; c < 3; c++) {
      const at = 3 * i + c;
      const difference = share * (painted[at] - rgb[at]);
      if (keepColors) shift += LUMA[c] * difference;
      else levels[4 * i + c] = 255 * (rgb[at] + difference);
    }
    if (keepColors) for (let c = 0; c < 3; c++) levels[4 * i + c] = 255 * (rgb[3 * i + c] + shift);
    levels[4 * i + 3] = alpha ? 255 * alpha[i] : 255;
  }
  return levels;
}
