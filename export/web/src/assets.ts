/** What the page is made of beside itself: files on its host, or inside the one file that it is. */

import type { ModelInfo } from "./messages";

/** A style as the export describes it. */
export interface StyleInfo {
  name: string;
  title: string;
  about: string;
  model: string;
  point: number[];
  /** The sample painted in it, a JPEG in base64. */
  face: string | null;
}

export interface Catalog {
  /** Changes with any of the files. */
  version: string;
  models: ModelInfo[];
  styles: StyleInfo[];
  /** Pictures to begin with. */
  photograph: string;
  painting: string | null;
  /** Whether Python stands behind the page: `tfstyle app`. */
  app: boolean;
}

function element(id: string): HTMLElement | null {
  return document.getElementById(id);
}

export const catalog: Catalog = JSON.parse(element("catalog")?.textContent ?? "{}");

/** Whether the page is one file that holds all it needs. */
export const alone = element("asset:worker.js") !== null;

/** Return the bytes of a file of the page. */
export async function asset(name: string): Promise<ArrayBuffer> {
  const packed = element(`asset:${name}`)?.textContent;
  if (packed) {
    const bytes = Uint8Array.from(atob(packed.trim()), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).arrayBuffer();
  }
  if (alone) throw new Error(`The page lacks ${name}.`);
  const response = await fetch(`${name}?${catalog.version}`);
  if (!response.ok) throw new Error(`${name} is not on this host (${response.status}).`);
  return response.arrayBuffer();
}
