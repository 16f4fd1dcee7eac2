/** What the page needs of a browser. */

// The smallest module with an instruction of SIMD.
const SIMD = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15,
  253, 98, 11,
]);

/** Say what this browser lacks, or nothing. */
export function missing(): string {
  const lacks =
    typeof WebAssembly !== "object" || !WebAssembly.validate(SIMD)
      ? "WebAssembly with SIMD"
      : typeof OffscreenCanvas === "undefined"
        ? "OffscreenCanvas"
        : typeof DecompressionStream === "undefined"
          ? "DecompressionStream"
          : "";
  return (
    lacks &&
    `This browser cannot paint: it lacks ${lacks}. Chrome or Edge 114, Firefox 113, Safari 16.4 and ` +
      "later versions can."
  );
}
