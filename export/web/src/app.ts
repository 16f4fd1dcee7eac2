/** Python behind the page, where `tfstyle app` serves it: it paints by optimization. */

import { Cancelled } from "./engine";

interface Line {
  share?: number;
  picture?: string;
  error?: string;
}

/** Paint a photograph after a painting; tell of every picture on the way, and the last. */
export async function askPython(
  photograph: Blob,
  painting: Blob,
  size: number,
  signal: AbortSignal,
  tell: (share: number, picture: Blob) => Promise<void>,
): Promise<void> {
  const body = JSON.stringify({
    photograph: await toBase64(photograph),
    painting: await toBase64(painting),
    size,
  });
  try {
    const headers = { "Content-Type": "application/json" };
    const response = await fetch("optimize", { method: "POST", body, headers, signal });
    if (!response.ok || !response.body) throw new Error(await response.text());
    let done = 0;
    for await (const { share, picture, error } of lines(response.body)) {
      if (error) throw new Error(error);
      if (share && picture) await tell(share, fromBase64(picture));
      done = share ?? done;
    }
    if (done < 1) throw new Error("Python stopped. The terminal says why.");
  } catch (error) {
    throw signal.aborted ? new Cancelled() : error;
  }
}

async function* lines(stream: ReadableStream<Uint8Array>): AsyncGenerator<Line> {
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const parts = (rest + decoder.decode(value, { stream: true })).split("\n");
    rest = parts.pop() ?? "";
    for (const part of parts) yield JSON.parse(part);
  }
}

function toBase64(blob: Blob): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result).split(",")[1]);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}

function fromBase64(text: string): Blob {
  return new Blob([Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))]);
}
