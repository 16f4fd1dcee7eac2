/** Resizing with Pillow's Lanczos filter, so that the page paints what Python paints. */

export type Sides = [height: number, width: number];

const RADIUS = 3;

/** Return a picture of `channels` interleaved floats at another size, in [0, 1]. */
export function resize(
  pixels: Float32Array,
  [height, width]: Sides,
  [newHeight, newWidth]: Sides,
  channels = 3,
): Float32Array {
  let result = pixels;
  if (newWidth !== width) result = acrossColumns(result, height, width, newWidth, channels);
  if (newHeight !== height) result = acrossRows(result, newWidth * channels, height, newHeight);
  if (result !== pixels) {
    for (let i = 0; i < result.length; i++) result[i] = Math.min(1, Math.max(0, result[i]));
  }
  return result;
}

function acrossColumns(
  pixels: Float32Array,
  height: number,
  width: number,
  newWidth: number,
  channels: number,
): Float32Array {
  const result = new Float32Array(height * newWidth * channels);
  const taps = filters(width, newWidth);
  let to = 0;
  for (let y = 0; y < height; y++) {
    for (const { begin, weights } of taps) {
      for (let c = 0; c < channels; c++) {
        let from = (y * width + begin) * channels + c;
        let sum = 0;
        for (let k = 0; k < weights.length; k++, from += channels) sum += weights[k] * pixels[from];
        result[to++] = sum;
      }
    }
  }
  return result;
}

function acrossRows(
  pixels: Float32Array,
  row: number,
  height: number,
  newHeight: number,
): Float32Array {
  const result = new Float32Array(newHeight * row);
  const sums = new Float64Array(row);
  filters(height, newHeight).forEach(({ begin, weights }, y) => {
    sums.fill(0);
    weights.forEach((weight, k) => {
      const from = (begin + k) * row;
      for (let x = 0; x < row; x++) sums[x] += weight * pixels[from + x];
    });
    result.set(sums, y * row);
  });
  return result;
}

function filters(length: number, newLength: number) {
  const scale = length / newLength;
  const stretch = Math.max(scale, 1);
  return Array.from({ length: newLength }, (_, i) => {
    const center = (i + 0.5) * scale;
    const begin = Math.max(0, Math.trunc(center - RADIUS * stretch + 0.5));
    const end = Math.min(length, Math.trunc(center + RADIUS * stretch + 0.5));
    const weights = new Float64Array(end - begin);
    let sum = 0;
    for (let k = 0; k < weights.length; k++) {
      weights[k] = lanczos((k + begin - center + 0.5) / stretch);
      sum += weights[k];
    }
    for (let k = 0; k < weights.length; k++) weights[k] /= sum;
    return { begin, weights };
  });
}

function lanczos(x: number): number {
  return Math.abs(x) < RADIUS ? sinc(x) * sinc(x / RADIUS) : 0;
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

/** Return the sides of a picture whose long side becomes `size`, as Python rounds them. */
export function fitted([height, width]: Sides, size: number): Sides {
  const long = Math.max(height, width);
  return [roundHalfEven((height * size) / long), roundHalfEven((width * size) / long)];
}

/** Round as Python does. */
export function roundHalfEven(x: number): number {
  const near = Math.round(x);
  return Math.max(1, Math.abs(x % 1) === 0.5 && near % 2 ? near - 1 : near);
}
